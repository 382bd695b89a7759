package authn

import (
	"net/url"
	"strings"

	"github.com/stile-gate/stile/policy"
)

// queryValue reads the one parameter of a name from a query
// (application/x-www-form-urlencoded, WHATWG URL §5.1). Absent is policy.ErrNoCredential.
// Two of the name, in whatever encoding, and an empty value are a BadRequest. So is a
// query that programs split differently, anywhere in it: one with a broken escape or a
// semicolon may hide a parameter from us that another program sees.
func queryValue(query, name string) (string, error) {
	value, found := "", false
	if strings.Contains(query, ";") {
		return "", policy.Refuse(policy.BadRequest, "query has a semicolon, which some programs take for &")
	}
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		rawKey, rawText, _ := strings.Cut(pair, "=")
		key, keyErr := url.QueryUnescape(rawKey)
		text, textErr := url.QueryUnescape(rawText)
		if keyErr != nil || textErr != nil {
			return "", policy.Refuse(policy.BadRequest, "query has a broken %% escape")
		}
		if key != name {
			continue
		}
		if found {
			return "", policy.Refuse(policy.BadRequest, "query parameter %s stands more than once", name)
		}
		value, found = text, true
	}
	switch {
	case !found:
		return "", policy.ErrNoCredential
	case value == "":
		return "", policy.Refuse(policy.BadRequest, "query parameter %s is empty", name)
	}
	return value, nil
}
