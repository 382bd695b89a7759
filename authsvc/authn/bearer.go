package authn

import (
	"errors"
	"strings"

	"github.com/stile-gate/stile/policy"
)

const bearerScheme = "Bearer"

var errNotBearer = errors.New("another scheme than Bearer")

// bearerToken reads the token of an Authorization header (RFC 6750 §2.1). No header, or
// one of another scheme, is policy.ErrNoCredential; two headers, or one that is Bearer
// without being exactly one token, are a BadRequest.
func bearerToken(r *policy.Request) (string, error) {
	value, err := r.Single("Authorization")
	if err != nil {
		return "", err
	}
	if value == "" {
		return "", policy.ErrNoCredential
	}
	token, err := parseBearer(value)
	switch {
	case errors.Is(err, errNotBearer):
		return "", policy.ErrNoCredential
	case err != nil:
		return "", policy.Refuse(policy.BadRequest, "Authorization %v", err)
	}
	return token, nil
}

// parseBearer reads `Bearer <b64token>`: the scheme in any case, exactly one space, one
// token. Whatever some program could still read as Bearer is an error of its own, for it
// must not be judged by one credential here and by another upstream.
func parseBearer(value string) (token string, err error) {
	if value[0] == ' ' || value[0] == '\t' {
		return "", errors.New("begins with a space")
	}
	// Some edges join two Authorization lines with a comma.
	for rest := value; ; {
		var more bool
		if _, rest, more = strings.Cut(rest, ","); !more {
			break
		}
		if rest = strings.TrimLeft(rest, " \t"); isBearer(rest) {
			return "", errors.New("is a list that holds a Bearer token")
		}
	}
	if !isBearer(value) {
		return "", errNotBearer
	}
	token, ok := strings.CutPrefix(value[len(bearerScheme):], " ")
	if !ok || !isB64Token(token) {
		return "", errors.New("is not Bearer, one space and one token")
	}
	return token, nil
}

// isBearer tells whether text begins with the scheme and not with a longer name.
func isBearer(text string) bool {
	n := len(bearerScheme)
	if len(text) < n || !strings.EqualFold(text[:n], bearerScheme) {
		return false
	}
	return len(text) == n || !b64Characters[text[n]]
}

// isB64Token tells whether text is a b64token: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~"
// / "+" / "/" ) *"=" (RFC 6750 §2.1).
func isB64Token(text string) bool {
	text = strings.TrimRight(text, "=")
	for i := range len(text) {
		if !b64Characters[text[i]] {
			return false
		}
	}
	return text != ""
}

// b64Characters is a table because every byte of every token passes through it. It is
// never written.
var b64Characters = func() (t [256]bool) {
	const all = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
	for i := range len(all) {
		t[all[i]] = true
	}
	return t
}()
