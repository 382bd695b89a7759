package config_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stile-gate/stile/cmd/stile/config"
	"github.com/stile-gate/stile/policy"
)

// mustLoad loads a file of testdata that has no errors.
func mustLoad(t *testing.T, path string, environ ...string) *config.Config {
	t.Helper()
	c, problems := config.Load(path, append(environOf(t, path), environ...))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

// mustParse parses a text that has no errors.
func mustParse(t *testing.T, text string, environ ...string) *config.Config {
	t.Helper()
	c, problems := config.Parse("stile.yaml", []byte(text), environ)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

func diff(want, got any) string {
	return cmp.Diff(want, got, cmpopts.IgnoreUnexported(config.Config{}),
		cmp.Comparer(func(a, b policy.Secret) bool { return a.Reveal() == b.Reveal() }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b policy.ClaimPath) bool { return a.String() == b.String() }))
}

func TestDesignLoads(t *testing.T) {
	hash := func(digit string) string { return strings.Repeat(digit, 64) }
	want := &config.Config{
		Listen: config.Listen{Auth: "127.0.0.1:4180", Proxy: ":8080", Admin: "127.0.0.1:9180"},
		Trust: policy.Prefixes{
			netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"),
			netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32"),
		},
		Hosts: []string{"api.example.com", "*.example.com:8443", "*:8080"},
		Store: policy.NewSecret("redis://127.0.0.1:6379/0"),
		Cache: config.Cache{Entries: 200_000, TTL: 30 * time.Second, StaleGrace: 5 * time.Minute},
		Keys: config.Keys{
			Prefix: "stile",
			Pepper: config.Pepper{Version: 1, Secret: policy.NewSecret("correct horse battery staple")},
		},
		Admin: config.Admin{Token: "sha256:" + hash("a")},
		Log:   config.Log{Level: "info", Decisions: true},
		Limits: map[string]config.Limit{
			"burst": {
				Rate: policy.Rate{Count: 60, Period: time.Minute, Burst: 60}, Burst: 20,
				Per: policy.Per{Kind: policy.PerConsumer}, Mode: "exact", OnStoreError: "local",
			},
			"monthly": {
				Quota: policy.Quota{Count: 100_000, Period: policy.Month, Anchor: 1},
				Per:   policy.Per{Kind: policy.PerConsumer}, Mode: "exact", OnStoreError: "local",
			},
		},
		Throttle: config.Throttle{Failures: policy.Rate{Count: 60, Period: time.Minute, Burst: 60}, Burst: 60},
		Authenticators: map[string]config.Authenticator{
			"partner": {APIKey: &config.APIKey{Header: "X-API-Key", Hide: true}},
			"staff": {JWT: &config.JWT{
				Issuer: "https://id.example.com", Audience: []string{"orders"},
				JWKSTTL: 5 * time.Minute, JWKSMinRefresh: 10 * time.Second, JWKSStale: time.Hour,
			}},
			"device": {JWT: &config.JWT{
				Issuer: "http://127.0.0.1:9000/realms/x", Audience: []string{"a", "b"},
				JWKSURL: "http://localhost:9000/jwks?v=1", Algorithms: []string{"ES256", "EdDSA"},
				Type: "at+jwt", Cookie: "session",
				Claims:  config.Claims{Consumer: "azp", Groups: "roles", Scopes: "scope"},
				JWKSTTL: 5 * time.Minute, JWKSMinRefresh: 10 * time.Second, JWKSStale: time.Hour,
			}},
		},
		Routes: []config.Route{
			{Name: "health", Match: "GET /healthz", Public: "probed by the load balancer", Upstream: "orders"},
			{
				Name: "orders-read", Match: "GET api.example.com/v1/orders/{path...}",
				Authenticate: []string{"partner", "staff", "device"},
				Require:      config.Require{Groups: []string{"partners", "staff"}, Scopes: []string{"orders:read"}},
				Encoded:      policy.EncodedSlash, Limit: []string{"burst", "monthly"}, Cost: 2, Upstream: "orders",
			},
		},
		Upstreams: map[string]config.Upstream{
			"orders": {Targets: []config.Target{{URL: &url.URL{Scheme: "http", Host: "orders-v1:8080"}}}},
		},
		Consumers: []config.Consumer{{
			ID: "acme", Username: "Acme Ltd", CustomID: "42", Groups: []string{"partners"},
			Keys: []config.Key{
				{
					ID: "k1", Hash: "sha256:" + hash("b"), Scopes: []string{"orders:read"},
					ExpiresAt: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC), Name: "laptop",
				},
				{ID: "k2", Hash: "hmac-sha256:1:" + hash("c")},
			},
		}},
		Files: []string{"testdata/pepper.txt"},
	}
	if d := diff(want, mustLoad(t, "testdata/design.yaml")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestDefaults(t *testing.T) {
	c := mustLoad(t, "testdata/minimal.yaml")
	if c.Listen.Admin != "127.0.0.1:9180" || c.Store.Reveal() != "memory:" || c.StoreScheme() != "memory" {
		t.Errorf("listen.admin %q, store %q", c.Listen.Admin, c.Store.Reveal())
	}
	if want := (config.Cache{Entries: 200_000, TTL: 30 * time.Second, StaleGrace: 5 * time.Minute}); c.Cache != want {
		t.Errorf("cache %+v, want %+v", c.Cache, want)
	}
	if want := (config.Log{Level: "info", Decisions: true}); c.Log != want {
		t.Errorf("log %+v, want %+v", c.Log, want)
	}
	if c.Keys.Prefix != policy.DefaultKeyPrefix || !c.Keys.Pepper.Secret.IsZero() || c.Admin.Hashes() != nil {
		t.Errorf("keys %+v, admin %+v", c.Keys, c.Admin)
	}
	want := policy.Carrier{Header: "X-Api-Key", Hide: true}
	if got := c.Authenticators["k"].APIKey.Carrier(); got != want {
		t.Errorf("carrier %+v, want %+v", got, want)
	}
}

// A zero that was written is not taken for an option that was left out.
func TestZeroIsNotDefault(t *testing.T) {
	c := mustParse(t, `
listen: { proxy: ":8080", admin: off }
cache: { stale_grace: 0s }
log: { decisions: false }
authenticators:
  k: { api_key: { query: key, hide: false } }
  j: { jwt: { issuer: https://id.example.com, audience: a, jwks_stale: 0s } }
routes: [ { name: a, match: /, authenticate: [k, j], upstream: u } ]
upstreams: { u: { targets: [ { url: "http://u" } ] } }
`)
	if c.Listen.Admin != "" || c.Cache.StaleGrace != 0 || c.Log.Decisions ||
		c.Authenticators["k"].APIKey.Hide || c.Authenticators["j"].JWT.JWKSStale != 0 {
		t.Errorf("%+v %+v", c, c.Authenticators["k"].APIKey)
	}
}

func TestEnvironmentOverrides(t *testing.T) {
	c := mustLoad(t, "testdata/environ-good.yaml")
	if c.Listen.Auth != ":4180" || c.Listen.Admin != ":9180" || c.Log.Level != "debug" {
		t.Errorf("listen %+v, log %+v", c.Listen, c.Log)
	}
	if got, want := c.Store.Reveal(), "redis://user:$hunter2@db"; got != want {
		t.Errorf("store %q, want %q: a variable is taken as it is", got, want)
	}
	want := policy.Prefixes{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.168.0.1/32")}
	if d := diff(want, c.Trust); d != "" {
		t.Error(d)
	}
	if d := diff([]string{"a.example.com", "b.example.com"}, c.Hosts); d != "" {
		t.Error(d)
	}
	token := policy.NewSecret("0123456789abcdef")
	if d := diff([]string{policy.PlainKeyHash(token)}, c.Admin.Hashes()); d != "" {
		t.Error(d)
	}
	got := c.Problem(c.At("listen", "auth"), "is taken by %s", "another").Error()
	if want := "STILE_LISTEN_AUTH: is taken by another"; got != want {
		t.Errorf("problem %q, want %q", got, want)
	}
}

func TestExpansion(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"one": "a\n", "two": "a\n\n", "crlf": "a\r\n", "cr": "a\r", "inner": "${B}"} {
		if err := os.WriteFile(folder+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for written, want := range map[string]string{
		"plain":                         "plain",
		"${B}":                          "b",
		"a${B}c${B}":                    "abcb",
		"$${B}":                         "${B}",
		"$$${B}":                        "$${B}",
		"$B $ {B} }":                    "$B $ {B} }",
		"${YAML}":                       "[a]: {b",
		"${REF}":                        "${B}",
		"${file:" + folder + "/one}":    "a",
		"${file:" + folder + "/two}":    "a\n",
		"${file:" + folder + "/crlf}":   "a",
		"${file:" + folder + "/cr}":     "a\r",
		"${file:" + folder + "/inner}":  "${B}",
		"${EMPTY}x":                     "x",
		"${file:testdata/../pepper.txt": "",
	} {
		text := fmt.Sprintf("listen: { proxy: ':1' }\nroutes: [ { name: a, match: /, public: %q, upstream: u } ]\n"+
			"upstreams: { u: { targets: [ { url: 'http://u' } ] } }\n", written)
		c, problems := config.Parse("stile.yaml", []byte(text), []string{"B=b", "B=second", "YAML=[a]: {b", "REF=${B}", "EMPTY="})
		if (problems.Err() != nil) != (want == "") {
			t.Errorf("%q: %v", written, problems)
		} else if got := c.Routes[0].Public; got != want {
			t.Errorf("%q: got %q, want %q", written, got, want)
		}
	}
}

// Files lists what to watch, and paths begin at the configuration's folder.
func TestFiles(t *testing.T) {
	c, problems := config.Parse("/nowhere/etc/stile.yaml", []byte(`
listen: { proxy: ":8080" }
keys: { pepper: { version: 1, secret: "${file:missing}" } }
authenticators:
  j: { jwt: { issuer: https://id.example.com, audience: a, jwks_file: keys/jwks.json } }
routes: [ { name: a, match: /, authenticate: [j], upstream: u } ]
upstreams: { u: { targets: [ { url: "http://u" } ] } }
`), nil)
	if len(problems) != 2 || !strings.Contains(problems.Error(), `jwks_file: "keys/jwks.json": no such file`) {
		t.Errorf("problems: %v", problems)
	}
	if d := diff([]string{"/nowhere/etc/missing"}, c.Files); d != "" {
		t.Error(d)
	}
	if got := c.Authenticators["j"].JWT.JWKSFile; got != "/nowhere/etc/keys/jwks.json" {
		t.Errorf("jwks_file %q", got)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	c := mustParse(t, `
listen: { proxy: ":8080" }
store: redis://user:hunter2@db
keys: { pepper: { version: 1, secret: hunter2hunter2hunter2 } }
routes: [ { name: a, match: /, public: x, upstream: u } ]
upstreams: { u: { targets: [ { url: "http://u" } ] } }
`)
	marshalled, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(marshalled), fmt.Sprintf("%v %+v %#v", c, c, c)} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("a secret shows in %s", text)
		}
	}
}

func TestRestartNeeded(t *testing.T) {
	before := mustLoad(t, "testdata/design.yaml")
	if got := config.RestartNeeded(before, mustLoad(t, "testdata/design.yaml", "STILE_LOG_LEVEL=debug")); got != nil {
		t.Errorf("nothing that matters differs, got %v", got)
	}
	after := mustLoad(t, "testdata/design.yaml",
		"STILE_LISTEN_AUTH=:1", "STILE_LISTEN_PROXY=:2", "STILE_LISTEN_ADMIN=127.0.0.1:3", "STILE_STORE=memory:")
	if d := diff([]string{"listen.auth", "listen.proxy", "listen.admin", "store"}, config.RestartNeeded(before, after)); d != "" {
		t.Error(d)
	}
}
