package authn

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// benchToken is an RS256 token of about 800 bytes, as an identity provider gives one to
// a person with some roles.
func benchToken(b *testing.B, f *fixture) string {
	token := f.token(b, rsaOne(), map[string]any{
		"sub": "7f9c2ba4-e88f-4a35-9d0a-1d6c0a3e1b52", "azp": "orders-web", "scope": "openid profile orders:read",
		"groups": []string{"staff", "orders", "emea"}, "email": "alice@example.com", "name": "Alice Example",
		"jti": "0b1c8a6e-3f5d-4d8b-9a51-7e1f6f0c2d34",
	})
	if len(token) < 750 || len(token) > 850 {
		b.Fatalf("token of %d bytes", len(token))
	}
	return token
}

func benchFixture(b *testing.B) (*fixture, *policy.Request) {
	f := newFixture(b, nil, rsaOne())
	token := benchToken(b, f)
	if err := f.jwt.Warm(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	return f, bearer(token)
}

// BenchmarkJWTWarm is a token that was verified before.
func BenchmarkJWTWarm(b *testing.B) {
	f, r := benchFixture(b)
	for b.Loop() {
		if _, err := f.jwt.Authenticate(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkJWTCold is a token that comes for the first time.
func BenchmarkJWTCold(b *testing.B) {
	f, r := benchFixture(b)
	for b.Loop() {
		f.jwt.proofs.InvalidateAll()
		if _, err := f.jwt.Authenticate(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkJWTNotMine is a token that another authenticator of the route must judge.
func BenchmarkJWTNotMine(b *testing.B) {
	f, r := benchFixture(b)
	f.jwt.options.Issuer = "https://other.example"
	for b.Loop() {
		if _, err := f.jwt.Authenticate(b.Context(), r); !errors.Is(err, policy.ErrNotMine) {
			b.Fatal(err)
		}
	}
}

// BenchmarkRSAVerify is the least that a cold token costs: the signature alone.
func BenchmarkRSAVerify(b *testing.B) {
	f := newFixture(b, nil, rsaOne())
	token := benchToken(b, f)
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		b.Fatal(err)
	}
	public := rsaOne().private.Public().(*rsa.PublicKey)
	b.ReportAllocs()
	for b.Loop() {
		sum := sha256.Sum256([]byte(token[:dot]))
		if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAPIKey is a key whose look-up costs nothing.
func BenchmarkAPIKey(b *testing.B) {
	found, _, key := newBooks(b)
	a := newAPIKey(b, APIKeyOptions{Header: "X-Api-Key", Keys: found})
	r := &policy.Request{Header: http.Header{"X-Api-Key": {key}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkJWTWarmRevocable is a token that was verified before, and of which the store
// said a moment ago that it is not revoked.
func BenchmarkJWTWarmRevocable(b *testing.B) {
	f, r := benchFixture(b)
	revocations := store.NewRevocations(store.RevocationOptions{
		Source: store.NewMemory(), Followed: func() bool { return true },
	})
	f.jwt.options.Revocations = revocations
	for b.Loop() {
		if _, err := f.jwt.Authenticate(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
