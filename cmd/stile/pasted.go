package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
)

// pastedToken is what a token says of itself. Nobody has verified it.
type pastedToken struct {
	Issuer  string  `json:"iss"`
	ID      string  `json:"jti"`
	Subject string  `json:"sub"`
	Session string  `json:"sid"`
	Expires float64 `json:"exp"`
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
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(claims, &t) != nil || t.Issuer == "" {
		return pastedToken{}, errors.New("the claims of what was pasted cannot be read, or name no issuer")
	}
	return t, nil
}
