package authn

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
)

// FuzzToken: of all texts, only those that the issuer signed are good, byte for byte.
func FuzzToken(f *testing.F) {
	one, ed := rsaOne(), edSigner("d")
	time := newClock()
	j, err := NewJWT(JWTOptions{Issuer: "https://id.example", Audiences: []string{"orders"}, Now: time.Now})
	if err != nil {
		f.Fatal(err)
	}
	set, err := json.Marshal(map[string]any{"keys": []any{one.jwk(), ed.jwk()}})
	if err != nil {
		f.Fatal(err)
	}
	j.keys.source = sourceFunc(func() ([]byte, error) { return set, nil })
	signed := map[string]bool{}
	for _, s := range []signer{one, ed} {
		token := s.sign(f, map[string]any{"iss": "https://id.example", "aud": "orders", "sub": "a", "exp": 1_900_000_000})
		signed[token] = true
		f.Add(token)
	}
	f.Add("..")
	f.Add(encode(`{"alg":"none"}`) + "." + encode(`{"iss":"https://id.example"}`) + ".")
	f.Fuzz(func(t *testing.T, raw string) {
		_, err := j.Authenticate(context.Background(), bearer(raw))
		switch got := outcome(err); {
		case got == "ok" && !signed[raw]:
			t.Fatalf("%q is taken", raw)
		case got == "no_credential" || got == "unavailable" || got == "expired" || got == "forbidden":
			t.Fatalf("%q: %v", raw, err)
		}
	})
}

// FuzzQuery: what is taken, net/url reads alike, and it knows of no other.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "k=v", "k=1&k=2", "%6b=v", "k=%zz", "a;k=v", "k", "k=+&&=", "k%3Dv"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		value, err := queryValue(query, "k")
		all, parseErr := url.ParseQuery(query)
		switch {
		case err == nil && (parseErr != nil || len(all["k"]) != 1 || all["k"][0] != value || value == ""):
			t.Fatalf("%q gives %q; net/url reads %v, %v", query, value, all, parseErr)
		case errors.Is(err, policy.ErrNoCredential) && (parseErr != nil || all.Has("k")):
			t.Fatalf("%q gives nothing; net/url reads %v, %v", query, all, parseErr)
		}
	})
}

// FuzzCookie: what net/http takes for the cookie, we see too.
func FuzzCookie(f *testing.F) {
	for _, seed := range []string{"", "k=v", "k=1; k=2", " k = v ", "a;;=;k=v", `k="v"`, "K=v", "k", "a=k=v"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\r\n\x00") {
			return // no server delivers these, and net/http trims them
		}
		r := &policy.Request{Header: http.Header{"Cookie": {line}}}
		value, err := cookieValue(r, "k")
		cookies := (&http.Request{Header: r.Header}).CookiesNamed("k")
		switch {
		case err == nil && (value == "" || strings.Contains(value, ";") || len(cookies) > 1):
			t.Fatalf("%q gives %q", line, value)
		case errors.Is(err, policy.ErrNoCredential) && len(cookies) > 0:
			t.Fatalf("%q gives nothing; net/http reads %v", line, cookies)
		case err == nil && len(cookies) == 1 && strings.Trim(cookies[0].Value, "\" ") != strings.Trim(value, "\" "):
			t.Fatalf("%q gives %q; net/http reads %q", line, value, cookies[0].Value)
		}
	})
}
