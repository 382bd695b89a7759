// Package parity holds every way of asking to the same answer: one table of cases, each
// sent raw to the endpoint of every dialect and to the gateway.
package parity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/stile-gate/stile/authsvc/authn"
	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// credentials are what callers present, by the name that cases use.
var credentials = map[string]string{}

// holder makes a key and the entry in the books that it belongs to.
func holder(name, id, consumer string, expires time.Time, scopes ...string) store.Key {
	_, key := policy.KeyFormat{}.New()
	credentials[name] = key.Reveal()
	return store.Key{ID: id, Consumer: consumer, Hash: policy.PlainKeyHash(key), Scopes: scopes, ExpiresAt: expires}
}

// books know what is declared, and cannot be read where it comes to what is lost. There is
// no cache before them: its breaker would make one case hang on another.
type books struct {
	*store.Static
	lost string // the hash of a key
}

func (b books) Identify(_ context.Context, key policy.Secret) (*policy.Identity, error) {
	hash := policy.PlainKeyHash(key)
	if hash == b.lost {
		return nil, errors.New("the store is out of reach")
	}
	return b.Identity(hash), nil
}

func (b books) Consumer(_ context.Context, id string) (*policy.Consumer, error) {
	if id == "lost" {
		return nil, errors.New("the store is out of reach")
	}
	return b.Static.Consumer(id), nil
}

// declared are acme, who is a partner; gone, who is disabled; and maria, of the staff.
func declared(t *testing.T) books {
	t.Helper()
	static, err := store.NewStatic(
		[]policy.Consumer{
			{ID: "acme", Username: "Acme, Ltd ", CustomID: "crm-42", Groups: []string{"partners", "night shift"}},
			{ID: "gone", Disabled: true},
			{ID: "maria", Username: "María", Groups: []string{"staff"}},
		},
		[]store.Key{
			holder("good", "k1", "acme", time.Time{}, "orders:read", "orders:list"),
			holder("expired", "k2", "acme", time.Now().Add(-time.Hour)),
			holder("disabled", "k3", "gone", time.Time{}),
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	lost := holder("lost", "k4", "nobody", time.Time{})
	holder("unknown", "k5", "nobody", time.Time{})
	good := credentials["good"]
	credentials["mistyped"] = good[:len(good)-1] + string("ab"[btoi(good[len(good)-1] == 'a')])
	return books{static, lost.Hash}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

const issuer = "https://id.example.com"

// tokens makes an issuer and some of its tokens.
func tokens(t *testing.T) *authn.JWT {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	token := func(name string, signedBy *ecdsa.PrivateKey, change func(map[string]any)) {
		claims := map[string]any{
			"iss": issuer, "aud": "orders", "sub": "maria@example.com", "client_id": "maria", "scope": "orders:write", "groups": []string{"night shift"},
			"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "jti": name,
		}
		if change != nil {
			change(claims)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: signedBy, KeyID: "1"}}, (&jose.SignerOptions{}).WithType("at+jwt"))
		if err != nil {
			t.Fatal(err)
		}
		if credentials[name], err = jwt.Signed(signer).Claims(claims).Serialize(); err != nil {
			t.Fatal(err)
		}
	}
	token("token", key, nil)
	token("stale token", key, func(c map[string]any) { c["exp"] = time.Now().Add(-time.Minute).Unix() })
	token("forged token", stranger, nil)
	token("token for others", key, func(c map[string]any) { c["aud"] = "billing" })
	token("token of others", key, func(c map[string]any) { c["iss"] = "https://other.example.com" })
	token("token of a lost consumer", key, func(c map[string]any) { c["client_id"] = "lost" })
	token("token of nobody", key, func(c map[string]any) { c["client_id"] = "nobody" })
	token("token in header bytes", key, func(c map[string]any) { c["sub"] = "a\r\nX-Consumer-Groups: admins, é%" })
	j, err := authn.NewJWT(authn.JWTOptions{
		Name: "staff", Issuer: issuer, Audiences: []string{"orders"}, JWKSFile: file, Claims: authn.ClaimPaths{Consumer: "client_id"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// engine is the one that every skin asks.
func engine(t *testing.T) *policy.Engine {
	t.Helper()
	known := declared(t)
	key := func(name string, o authn.APIKeyOptions) policy.NamedAuthenticator {
		o.Keys = known
		a, err := authn.NewAPIKey(o)
		if err != nil {
			t.Fatal(err)
		}
		return policy.NamedAuthenticator{Name: name, Scheme: policy.APIKey, Authenticator: a}
	}
	partner := key("partner", authn.APIKeyOptions{Header: "X-API-Key"})
	staff := policy.NamedAuthenticator{Name: "staff", Scheme: policy.Bearer, Authenticator: tokens(t)}
	hosts, err := policy.ParseHosts([]string{"app.test", "app.test:8443", "admin.test", "*.tenant.test", "192.0.2.1", "[2001:db8::1]", "a_b.test"})
	if err != nil {
		t.Fatal(err)
	}
	e, errs := policy.NewEngine(policy.Options{
		Meter: meter{}, Throttle: throttle{},
		Routes: append(limitedRoutes(partner), []policy.Route{
			{Name: "front", Match: "/{$}", Public: "for a test"},
			{Name: "open", Match: "/open/", Public: "for a test"},
			{Name: "me", Match: "/@me/{x}", Public: "for a test"},
			{Name: "brew", Match: "PURGE /pot", Public: "for a test"},
			{Name: "form", Match: "POST /form", Public: "for a test"},
			{Name: "files", Match: "/files/{name}", Public: "for a test", Encoded: policy.EncodedSlash},
			{Name: "secrets", Match: "/files/secret/{name}", Authenticate: []policy.NamedAuthenticator{partner}},
			{Name: "data", Match: "/data/{name...}", Public: "for a test", Encoded: policy.EncodedPercent | policy.EncodedSemicolon | policy.EncodedQuestion | policy.EncodedHash},
			{Name: "orders", Match: "/v1/", Authenticate: []policy.NamedAuthenticator{partner, staff}},
			{Name: "reading", Match: "/v1/read/{id}", Authenticate: []policy.NamedAuthenticator{partner, staff}, Require: policy.Require{Scopes: []string{"orders:read"}}},
			{Name: "writing", Match: "/v1/write/{id}", Authenticate: []policy.NamedAuthenticator{partner, staff}, Require: policy.Require{Scopes: []string{"orders:read", "orders:write"}}},
			{Name: "admin", Match: "/v1/admin/", Authenticate: []policy.NamedAuthenticator{partner, staff}, Require: policy.Require{Groups: []string{"admins"}}},
			{Name: "staff", Match: "/staff/", Authenticate: []policy.NamedAuthenticator{staff, partner}, Require: policy.Require{Groups: []string{"staff"}}},
			{Name: "cookie", Match: "/cookie/", Authenticate: []policy.NamedAuthenticator{key("cookie", authn.APIKeyOptions{Cookie: "stile_key"})}},
			{Name: "query", Match: "/query/", Authenticate: []policy.NamedAuthenticator{key("query", authn.APIKeyOptions{Query: "api_key"})}},
			{Name: "admin-host", Match: "admin.test/", Authenticate: []policy.NamedAuthenticator{partner}},
			{Name: "tenants", Match: "*.tenant.test/", Public: "for a test"},
			{Name: "tenants-admin", Match: "*.tenant.test/admin/", Authenticate: []policy.NamedAuthenticator{partner}},
		}...),
		Directory: known, Hosts: hosts,
		Carriers: []policy.Carrier{{Header: "X-Api-Key", Hide: true}, {Cookie: "stile_key", Hide: true}, {Query: "api_key", Hide: true}},
	})
	for _, err := range errs {
		t.Error(err)
	}
	if len(errs) > 0 {
		t.FailNow()
	}
	return e
}

// witness remembers the last decision, to compare what skins asked and not only what they
// answered.
type witness struct {
	policy.Decider
	mu   sync.Mutex
	last string
}

func (w *witness) Decide(ctx context.Context, r *policy.Request) policy.Decision {
	d := w.Decider.Decide(ctx, r)
	said := d.Reason.String() + " at " + d.Step
	if d.Step != "admit" { // else there is no request that could be told
		said += " of " + r.Method + " " + r.Scheme + "://" + r.Host + r.Path + "?" + r.RawQuery + " from " + r.ClientIP.String()
	}
	if d.Route != nil {
		said += " by " + d.Route.Name
	}
	w.mu.Lock()
	w.last = said
	w.mu.Unlock()
	return d
}

// take returns the last decision, and "" when there was none since the last call.
func (w *witness) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.last
	w.last = ""
	return last
}
