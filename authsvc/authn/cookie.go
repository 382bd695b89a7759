package authn

import (
	"fmt"
	"strings"

	"github.com/stile-gate/stile/policy"
)

// cookieValue reads the one cookie of a name (RFC 6265 §4.2.1, names exact and in their
// case). Absent is policy.ErrNoCredential. Two of the name, two Cookie lines (of which
// another program could read the other) and an empty value are a BadRequest. What other
// cookies look like is not our business.
func cookieValue(r *policy.Request, name string) (string, error) {
	line, err := r.Single("Cookie")
	if err != nil {
		return "", err
	}
	value, found := "", false
	for line != "" {
		var pair string
		pair, line, _ = strings.Cut(line, ";")
		key, text, _ := strings.Cut(pair, "=")
		if strings.Trim(key, " \t") != name {
			continue
		}
		if found {
			return "", policy.Refuse(policy.BadRequest, "cookie %s stands more than once", name)
		}
		value, found = strings.Trim(text, " \t"), true
	}
	switch {
	case !found:
		return "", policy.ErrNoCredential
	case value == "":
		return "", policy.Refuse(policy.BadRequest, "cookie %s is empty", name)
	}
	return value, nil
}

// checkCookieName refuses what cannot name a cookie (a token, RFC 6265 §4.1.1).
func checkCookieName(name string) error {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7F || strings.IndexByte(`()<>@,;:\"/[]?={}`, c) >= 0 {
			return fmt.Errorf("%q cannot name a cookie", name)
		}
	}
	return nil
}
