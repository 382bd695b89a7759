package authn

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"github.com/stile-gate/stile/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that only moves when a test says so.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(time.Unix(1_800_000_000, 0).UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.nanos.Load()).UTC() }
func (c *clock) Advance(d time.Duration) { c.nanos.Add(int64(d)) }

// signer is a private key under a kid.
type signer struct {
	kid     string
	alg     string
	private crypto.Signer
}

func rsaSigner(kid string, bits int) signer {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return signer{kid, "RS256", k}
}

func ecSigner(kid string) signer {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return signer{kid, "ES256", k}
}

func edSigner(kid string) signer {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return signer{kid, "EdDSA", k}
}

// RSA keys take long to make, so tests share these two.
var (
	rsaOne = sync.OnceValue(func() signer { return rsaSigner("one", 2048) })
	rsaTwo = sync.OnceValue(func() signer { return rsaSigner("two", 2048) })
)

func (s signer) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: s.private.Public(), KeyID: s.kid, Algorithm: s.alg, Use: "sig"}
}

// sign makes a token as an honest issuer does.
func (s signer) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT")
	key := jose.SigningKey{Algorithm: jose.SignatureAlgorithm(s.alg), Key: jose.JSONWebKey{Key: s.private, KeyID: s.kid}}
	signing, err := jose.NewSigner(key, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signing.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// forge signs a header and claims that are given byte by byte.
func (s signer) forge(t testing.TB, header, claims string) string {
	t.Helper()
	input := encode(header) + "." + encode(claims)
	return input + "." + encode(string(s.signature(t, input)))
}

func (s signer) signature(t testing.TB, input string) []byte {
	t.Helper()
	sum := sha256.Sum256([]byte(input))
	switch k := s.private.(type) {
	case *rsa.PrivateKey:
		sig, err := rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return sig
	case *ecdsa.PrivateKey:
		r, ss, err := ecdsa.Sign(rand.Reader, k, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, 32)), ss.FillBytes(make([]byte, 32))...)
	case ed25519.PrivateKey:
		return ed25519.Sign(k, []byte(input))
	}
	t.Fatalf("no signature by %T", s.private)
	return nil
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// issuer is an identity provider on loopback that counts how often its keys are asked for.
type issuer struct {
	*httptest.Server
	fetches atomic.Int64

	mu      sync.Mutex
	keys    []any // jose.JSONWebKey or raw maps
	serve   http.HandlerFunc
	issuer  string // what discovery says; "" for the truth
	jwksURL string
}

func newIssuer(t testing.TB, keys ...signer) *issuer {
	t.Helper()
	i := &issuer{}
	i.publish(keys...)
	i.Server = httptest.NewServer(http.HandlerFunc(i.handle))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) publish(keys ...signer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = []any{}
	for _, k := range keys {
		i.keys = append(i.keys, k.jwk())
	}
}

// answer has the issuer answer for its keys in another way; nil for the usual one.
func (i *issuer) answer(serve http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.serve = serve
}

func (i *issuer) handle(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	serve, name, jwksURL := i.serve, i.issuer, i.jwksURL
	set, err := json.Marshal(map[string]any{"keys": i.keys})
	i.mu.Unlock()
	if err != nil {
		panic(err)
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		if name == "" {
			name = i.URL
		}
		if jwksURL == "" {
			jwksURL = i.URL + "/jwks"
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": name, "jwks_uri": jwksURL})
	case "/jwks":
		i.fetches.Add(1)
		if serve != nil {
			serve(w, r)
			return
		}
		_, _ = w.Write(set)
	default:
		http.NotFound(w, r)
	}
}

func down(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "down", http.StatusServiceUnavailable)
}

// claims are those of a good token, with changes; a nil value takes a claim away.
func (i *issuer) claims(now time.Time, changes map[string]any) map[string]any {
	c := map[string]any{
		"iss": i.URL, "aud": "orders", "sub": "alice", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(),
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// fixture is an issuer, a clock and an authenticator for both.
type fixture struct {
	*issuer
	*clock
	jwt *JWT
}

func newFixture(t testing.TB, change func(*JWTOptions), keys ...signer) *fixture {
	t.Helper()
	f := &fixture{issuer: newIssuer(t, keys...), clock: newClock()}
	o := JWTOptions{Name: "staff", Issuer: f.URL, Audiences: []string{"orders"}, Now: f.Now}
	if change != nil {
		change(&o)
	}
	j, err := NewJWT(o)
	if err != nil {
		t.Fatal(err)
	}
	f.jwt = j
	t.Cleanup(j.keys.settle)
	return f
}

// settle waits for the fetch that is under way.
func (s *keySet) settle() {
	s.mu.Lock()
	f := s.flight
	s.mu.Unlock()
	if f != nil {
		<-f.done
	}
}

func (f *fixture) token(t testing.TB, s signer, changes map[string]any) string {
	t.Helper()
	return s.sign(t, f.claims(f.Now(), changes))
}

// raw is a good set of claims as text, for forge.
func (f *fixture) raw(changes map[string]any) string {
	text, err := json.Marshal(f.claims(f.Now(), changes))
	if err != nil {
		panic(err)
	}
	return string(bytes.TrimSpace(text))
}

func bearer(token string) *policy.Request {
	return &policy.Request{Header: http.Header{"Authorization": {"Bearer " + token}}}
}

func (f *fixture) present(token string) (*policy.Identity, error) {
	return f.jwt.Authenticate(context.Background(), bearer(token))
}

// outcome is the word for what an authenticator answered.
func outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, policy.ErrNoCredential):
		return "no_credential"
	case errors.Is(err, policy.ErrNotMine):
		return "not_mine"
	}
	return policy.ReasonOf(err).String()
}

func expect(t testing.TB, err error, want string) {
	t.Helper()
	if got := outcome(err); got != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
}
