package authn

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
)

func TestRevokedTokens(t *testing.T) {
	one := rsaOne()
	memory := store.NewMemory()
	f := newFixture(t, func(o *JWTOptions) { o.Revocations = memory }, one)
	memory.Now = f.Now
	revoke := func(r store.Revocation) {
		t.Helper()
		r.Issuer, r.Until = f.URL, f.Now().Add(time.Hour)
		if err := memory.Revoke(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	tokens := map[string]string{}
	for name, changes := range map[string]map[string]any{
		"jti":     {"jti": "t1", "sub": "bob"},
		"session": {"jti": "t2", "sub": "bob", "sid": "s1"},
		"subject": {"jti": "t3"},
		"later":   {"iat": f.Now().Unix() + 1},
		"undated": {"iat": nil},
		"client":  {"sub": nil, "client_id": "alice"},
	} {
		tokens[name] = f.token(t, one, changes)
	}
	expectAll := func(revoked ...string) {
		t.Helper()
		for name, token := range tokens {
			want := "ok"
			if strings.Contains(strings.Join(revoked, " "), name) {
				want = "bad_credential"
			}
			if _, err := f.present(token); outcome(err) != want {
				t.Errorf("%s: got %s (%v), want %s", name, outcome(err), err, want)
			}
		}
	}
	expectAll()
	revoke(store.Revocation{JTI: "t1"})
	expectAll("jti")
	revoke(store.Revocation{Session: "s1"})
	expectAll("jti", "session")
	revoke(store.Revocation{Subject: "alice", IssuedBefore: f.Now()})
	expectAll("jti", "session", "subject", "undated")
	f.Advance(time.Hour)
	_, err := f.present(tokens["jti"])
	expect(t, err, "expired") // which is told, and asks nobody
}

// What cannot be told is our failure, not the token's.
func TestRevocationsUnknown(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, func(o *JWTOptions) { o.Revocations = unknowing{} }, one)
	_, err := f.present(f.token(t, one, nil))
	expect(t, err, "unavailable")
}

type unknowing struct{}

func (unknowing) Revoked(context.Context, store.TokenRef) (bool, error) {
	return false, errors.New("down")
}

// A token that nobody could revoke is not let in.
func TestClaimsOfRevocations(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, nil, one)
	for name, tt := range map[string]struct {
		changes map[string]any
		want    string
	}{
		"jti":               {map[string]any{"jti": strings.Repeat("x", store.MaxTokenClaim)}, "ok"},
		"sid":               {map[string]any{"sid": "s1"}, "ok"},
		"jti is a number":   {map[string]any{"jti": 1}, "bad_credential"},
		"jti is empty":      {map[string]any{"jti": ""}, "bad_credential"},
		"jti is too long":   {map[string]any{"jti": strings.Repeat("x", store.MaxTokenClaim+1)}, "bad_credential"},
		"JTI":               {map[string]any{"JTI": "t1"}, "bad_credential"},
		"sid is an array":   {map[string]any{"sid": []string{"s1"}}, "bad_credential"},
		"Sid beside a sid":  {map[string]any{"sid": "s1", "Sid": "s2"}, "bad_credential"},
		"iat is not a date": {map[string]any{"iat": "now"}, "bad_credential"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.present(f.token(t, one, tt.changes))
			expect(t, err, tt.want)
		})
	}
}
