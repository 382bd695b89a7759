package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/stile-gate/stile/authsvc/strictjson"
)

// pastedToken is what a token says of itself. Nobody has verified it.
type pastedToken struct {
	Issuer, ID, Subject, Session string  // iss, jti, sub, sid; "" for none
	Expires                      float64 // exp; 0 for none
}

// end is when it expires, a second later for the part of one, and the year 9999 at most.
func (t pastedToken) end() time.Time {
	const last = 253402300799
	return time.Unix(int64(min(t.Expires, last-1))+1, 0)
}

// readPasted reads a token as people paste it: with "Bearer" before it, with line ends in
// and behind it. Errors hold nothing of it.
func readPasted(in io.Reader) (t pastedToken, err error) {
	const limit = 64 << 10
	text, err := io.ReadAll(io.LimitReader(in, limit))
	if err != nil {
		return t, errors.New("the token cannot be read from standard input")
	}
	words := strings.Fields(string(text))
	if len(words) > 0 && strings.EqualFold(words[0], "Bearer") {
		words = words[1:]
	}
	parts := strings.Split(strings.Join(words, ""), ".")
	if len(parts) != 3 {
		return t, errors.New("what was pasted is not a token of three parts with dots between them")
	}
	document, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	if err != nil {
		return t, errors.New("the claims of what was pasted are not base64url: it was cut, or changed on the way")
	}
	err = t.read(document)
	return t, err
}

// read takes the claims as the server does, which lets no token in whose claims could be
// read in two ways: of two jti, it would be chance which one is revoked.
func (t *pastedToken) read(document []byte) error {
	claims, err := strictjson.Object(document)
	if err != nil {
		return fmt.Errorf("the claims of what was pasted could be read in two ways, and such a token is refused everywhere: %w", err)
	}
	for name, text := range map[string]*string{"iss": &t.Issuer, "jti": &t.ID, "sub": &t.Subject, "sid": &t.Session} {
		value, there := claims[name]
		var ok bool
		if *text, ok = value.(string); there && !ok {
			return fmt.Errorf("the claim %s of what was pasted is not a string", name)
		}
	}
	if exp, there := claims["exp"]; there {
		number, ok := exp.(json.Number)
		if t.Expires, err = number.Float64(); !ok || err != nil {
			return errors.New("the claim exp of what was pasted is not a time")
		}
	}
	if t.Issuer == "" {
		return errors.New("the claims of what was pasted name no issuer")
	}
	return nil
}
