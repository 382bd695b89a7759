package authn

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/stile-gate/stile/policy"
)

const (
	// maxSkew is how far an issuer's clock may be ahead of ours, for nbf and iat.
	maxSkew = 60 * time.Second
	// maxNumericDate is the last second of the year 9999. A date above it is one in
	// milliseconds, or made to outlive every check.
	maxNumericDate = 253402300799
	// maxSubject bounds sub in bytes; OpenID Connect Core §2 says 255.
	maxSubject = 255
)

// registeredClaims lists the names that are read from every token, so that none may
// stand there in another case.
func registeredClaims() []string {
	return []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "client_id", "azp"}
}

// validity is when a token is good: from nbf and iat, less the skew, until exp.
type validity struct {
	from  time.Time // zero when neither nbf nor iat is there
	until time.Time
}

// check judges a validity at one moment. A token is expired at exp, not only after it
// (RFC 7519 §4.1.4: "on or after").
func (v validity) check(now time.Time) error {
	if !now.Before(v.until) {
		return policy.Refuse(policy.Expired, "token expired at %s", v.until.Format(time.RFC3339))
	}
	if now.Add(maxSkew).Before(v.from) {
		return policy.Refuse(policy.BadCredential, "token is not valid before %s", v.from.Format(time.RFC3339))
	}
	return nil
}

// readValidity reads exp, which must be there, nbf and iat.
func readValidity(claims map[string]any) (v validity, err error) {
	if _, ok := claims["exp"]; !ok {
		return v, errors.New("exp is missing")
	}
	if v.until, err = readDate(claims, "exp"); err != nil {
		return v, err
	}
	for _, name := range []string{"nbf", "iat"} {
		date, err := readDate(claims, name)
		if err != nil {
			return v, err
		}
		if date.After(v.from) {
			v.from = date
		}
	}
	return v, nil
}

// readDate reads a NumericDate (RFC 7519 §2): seconds since 1970, with or without a
// fraction, between 0 and maxNumericDate. One that is absent is the zero time.
func readDate(claims map[string]any, name string) (time.Time, error) {
	value, ok := claims[name]
	if !ok {
		return time.Time{}, nil
	}
	number, ok := value.(json.Number)
	if !ok {
		return time.Time{}, fmt.Errorf("%s is not a number", name)
	}
	// A float64 holds these seconds exactly, and fractions to 31 microseconds.
	seconds, err := strconv.ParseFloat(number.String(), 64)
	if err != nil || !(seconds >= 0 && seconds <= maxNumericDate) {
		return time.Time{}, fmt.Errorf("%s is not between 0 and %d", name, maxNumericDate)
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)).UTC(), nil
}

// readAudience reads aud, a string or an array of strings (RFC 7519 §4.1.3).
func readAudience(claims map[string]any) ([]string, error) {
	value, ok := claims["aud"]
	if !ok {
		return nil, errors.New("aud is missing")
	}
	audience, err := stringList(value)
	if err != nil {
		return nil, fmt.Errorf("aud %w", err)
	}
	return audience, nil
}

// readText reads a claim that is a string of 1 to limit bytes. One that is absent is "".
func readText(claims map[string]any, name string, limit int) (string, error) {
	value, ok := claims[name]
	if !ok {
		return "", nil
	}
	text, ok := value.(string)
	if !ok || text == "" || len(text) > limit {
		return "", fmt.Errorf("%s is not a string of 1 to %d bytes", name, limit)
	}
	return text, nil
}

// readHolder tells whom a token was issued for: sub, or where there is none the client,
// client_id (RFC 9068 §2.2) or azp (OpenID Connect Core §2). The two are names in
// different books, and kind keeps them apart.
func readHolder(claims map[string]any) (kind, id string, err error) {
	for _, name := range []string{"sub", "client_id", "azp"} {
		if id, err = readText(claims, name, maxSubject); err != nil {
			return "", "", err
		}
		if id == "" {
			continue
		}
		if name == "sub" {
			return kindSubject, id, nil
		}
		return kindClient, id, nil
	}
	return "", "", errors.New("none of sub, client_id and azp is there")
}

// readGroups reads a string, which is one group, or an array of strings. An empty string
// names no group.
func readGroups(value any) ([]string, error) {
	list, err := stringList(value)
	if err != nil {
		return nil, err
	}
	groups := list[:0]
	for _, group := range list {
		if group != "" {
			groups = append(groups, group)
		}
	}
	return groups, nil
}

// readScopes reads a space-separated string (RFC 8693 §4.2) or an array of strings. Every
// scope must be of the form of RFC 6749 §3.3: an array element with a space in it would
// become two scopes in the upstream's header.
func readScopes(value any) ([]string, error) {
	list, err := stringList(value)
	if err != nil {
		return nil, err
	}
	if text, ok := value.(string); ok {
		list = strings.Split(text, " ")
	}
	scopes := list[:0]
	for _, scope := range list {
		if strings.ContainsFunc(scope, notScopeCharacter) {
			return nil, errors.New("has a character that no scope can have")
		}
		if scope != "" {
			scopes = append(scopes, scope)
		}
	}
	return scopes, nil
}

func notScopeCharacter(r rune) bool { return r <= 0x20 || r >= 0x7F || r == '"' || r == '\\' }

// stringList reads a string or an array of strings, into a slice of its own.
func stringList(value any) ([]string, error) {
	switch value := value.(type) {
	case string:
		return []string{value}, nil
	case []any:
		list := make([]string, 0, len(value))
		for _, element := range value {
			text, ok := element.(string)
			if !ok {
				return nil, policy.ErrOtherType
			}
			list = append(list, text)
		}
		return list, nil
	}
	return nil, policy.ErrOtherType
}
