package authsvc

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
)

func TestADialectReadsItsHeaders(t *testing.T) {
	w := engine(t)
	addr := listening(t, w, loopback)
	for _, g := range tongues() {
		resp := g.ask(t, addr, append(g.fields("/v1/orders?limit=2&x=%zz"), "X-Api-Key: good"))
		g.wants(t, resp, "a good key", policy.OK)
		asked := w.take()
		if len(asked) != 1 {
			t.Fatalf("%s: asked %d times", g, len(asked))
		}
		r := asked[0]
		got := fmt.Sprint(r.Edge, " ", r.Method, " ", r.Scheme, " ", r.Host, " ", r.Port, " ", r.Path, " ", r.RawQuery, " ", r.ClientIP)
		if want := g.edge + " GET http app.test 0 /v1/orders limit=2&x=%zz 192.0.2.7"; got != want {
			t.Errorf("%s: asked about %q, want %q", g, got, want)
		}
	}
}

// A header that is not there exactly once, and with something in it, is never replaced by
// another one, nor by the subrequest's own path.
func TestADialectsHeadersStandExactlyOnce(t *testing.T) {
	addr := listening(t, engine(t), loopback)
	for _, g := range tongues() {
		good := g.fields("/open/x")
		g.wants(t, g.ask(t, addr, good), "all as it should be", policy.OK)
		for _, name := range g.names() {
			rest := without(good, name)
			line := good[indexOf(t, good, name)]
			for what, fields := range map[string][]string{
				"absent":                      rest,
				"empty":                       append(rest, name+":"),
				"blank":                       append(rest, name+": \t "),
				"doubled":                     append(good, line),
				"doubled, the second empty":   append(good, name+":"),
				"doubled, in another case":    append(good, strings.ToLower(line[:len(name)])+line[len(name):]),
				"doubled, the other one good": append([]string{name + ": /admin"}, good...),
				"under an alias with _":       append(rest, strings.ReplaceAll(name, "-", "_")+line[len(name):]),
				"under an alias with .":       append(rest, strings.ReplaceAll(name, "-", ".")+line[len(name):]),
				"beside an alias with _":      append(good, strings.ReplaceAll(name, "-", "_")+line[len(name):]),
			} {
				g.wants(t, g.ask(t, addr, fields), name+" "+what, policy.BadRequest)
			}
		}
	}
}

func indexOf(t *testing.T, fields []string, name string) int {
	t.Helper()
	for i, f := range fields {
		if strings.HasPrefix(f, name+":") {
			return i
		}
	}
	t.Fatalf("no %s among %q", name, fields)
	return 0
}

func TestAHeaderOfTheWrongFormIsRefused(t *testing.T) {
	addr := listening(t, engine(t), loopback)
	for _, g := range tongues() {
		forms := map[string][]string{
			g.method:     {"get", "GET ", "GET, POST", "G\tT", "TRACE", "CONNECT", "PURGE2", `"GET"`},
			forwardedFor: {"unknown", "192.0.2.7:80", "[2001:db8::1]", "fe80::1%eth0", "010.0.0.1", "192.0.2", "192.0.2.7,", ",192.0.2.7", "192.0.2.7;10.0.0.1", strings.Repeat("10.0.0.1, ", 32) + "192.0.2.7"},
			g.target:     {"/open/x, /open/y", "open/x", "*", "http://app.test/open/x", "//app.test/open/x", "/open/../v1/orders", "/open/%2e%2E/v1", "/open//x", "/open/a%2fb", "/open/a%5cb", `/open/a\b`, "/open/a;b", "/open/%00", "/open/%zz", "/open/%", "/open/#x", "/open/a b", "/open/caf\xc3\xa9", "/open/%ff", "/open/%2561", "/open/?a b", "/open/?#", "/" + strings.Repeat("a", 9000)},
		}
		if !g.whole {
			forms[g.scheme] = []string{"HTTP", "ftp", "http,https", "http:", "http://", "javascript", "h2c"}
			forms[g.host] = []string{"a.test, b.test", "app.test.", "user@app.test", "app.test/x", "app.test#x", "app.test:0", "app.test:99999", "app.test:8443", "app.test:", "::1", "[::1", "[fe80::1%25eth0]", "app test", "app..test", "bücher.test", "evil.com,for=127.0.0.1", "0x7f.1", "1.2.3"}
		} else {
			forms[g.target] = []string{"/open/x", "app.test/open/x", "//app.test/open/x", "http:/app.test/open/x", "http://app.test", "http://app.test?/open/x", "http:///open/x", "ftp://app.test/open/x", "HTTP://app.test/open/x", "http://user@app.test/open/x", "http://app.test./open/x", `http://app.test\@evil.test/open/x`, "http://app.test#@evil.test/open/x", "http://app.test/open/../v1", "http://app.test//open/x", "http://a.test, http://b.test/open/x", "http://app.test:8443/open/x", " http//app.test/open/x", "://app.test/open/x"}
		}
		for name, values := range forms {
			for _, value := range values {
				fields := append(without(g.fields("/open/x"), name), name+": "+value)
				resp := g.ask(t, addr, fields)
				if value == "GET " { // an edge's space before the end of line is no part of the value
					g.wants(t, resp, name+" with a space behind it", policy.OK)
					continue
				}
				g.wants(t, resp, fmt.Sprintf("%s: %.60q", name, value), policy.BadRequest)
			}
		}
	}
}

// An edge that does not blank them passes on a client's headers of another family. They
// neither open what is closed nor close what is open.
func TestAHeaderOfAnotherFamilyIsNeverRead(t *testing.T) {
	w := engine(t)
	addr := listening(t, w, loopback)
	foreign := map[bool][]string{ // by whether the dialect is nginx's
		false: {"X-Original-Method: OPTIONS", "X-Original-URI: @", "X-Original-URL: http://evil.test@"},
		true:  {"X-Forwarded-Method: OPTIONS", "X-Forwarded-Uri: @"},
	}
	everywhere := []string{
		"X-Rewrite-URL: @", "X-Replaced-Path: @", "X-Forwarded-Prefix: /open", "X-Forwarded-Path: @", "X-HTTP-Method-Override: OPTIONS",
		"X-Real-IP: 10.0.0.1", "X-Forwarded-Port: 1", "X-Forwarded-Server: evil.test", "X-Forwarded-Ssl: on", "X-Url-Scheme: https",
		"Forwarded: for=10.0.0.1;host=evil.test;proto=https", "X-Scheme: https", "X-Auth-Request-Redirect: @", "X-Client-IP: 10.0.0.1", "True-Client-IP: 10.0.0.1",
	}
	for _, g := range tongues() {
		for target, tc := range map[string]struct {
			other string
			want  policy.Reason
		}{
			"/v1/orders": {"/open/x", policy.NoCredential},
			"/open/x":    {"/v1/orders", policy.OK},
			"/nowhere":   {"/open/x", policy.NoRoute},
		} {
			fields := g.fields(target)
			for _, f := range append(foreign[strings.HasPrefix(g.edge, "nginx")], everywhere...) {
				fields = append(fields, strings.ReplaceAll(f, "@", tc.other))
			}
			g.wants(t, g.ask(t, addr, fields), target+" with all of "+tc.other, tc.want)
			for _, r := range w.take() {
				if r.Method != http.MethodGet || r.Host != "app.test" || r.Path != target || r.ClientIP != netip.MustParseAddr("192.0.2.7") {
					t.Errorf("%s: asked about %s %s%s from %s", g, r.Method, r.Host, r.Path, r.ClientIP)
				}
			}
		}
		// Nor does one stand in for what is missing.
		for _, f := range append(foreign[strings.HasPrefix(g.edge, "nginx")], everywhere...) {
			fields := append(without(g.fields("/open/x"), g.target), strings.ReplaceAll(f, "@", "/open/x"))
			g.wants(t, g.ask(t, addr, fields), f+" in place of "+g.target, policy.BadRequest)
		}
		w.take()
	}
}

// ingress-nginx sends X-Original-URL, and a client may have sent the rest.
func TestOriginalURLAgreesWithWhatSaysTheSame(t *testing.T) {
	addr := listening(t, engine(t), loopback)
	for _, tc := range []struct {
		field string
		want  policy.Reason
	}{
		{"X-Original-URI: /open/x", policy.OK},
		{"X-Forwarded-Proto: http", policy.OK},
		{"X-Forwarded-Host: app.test", policy.OK},
		{"X-Original-URI:", policy.OK},
		{"X-Forwarded-Proto:", policy.OK}, // as ingress-nginx clears it
		{"X-Original-URI: /v1/orders", policy.BadRequest},
		{"X-Original-URI: /open/X", policy.BadRequest},
		{"X-Original-URI: /open/%78", policy.BadRequest}, // equal, but no edge writes it in two ways
		{"X-Forwarded-Proto: https", policy.BadRequest},
		{"X-Forwarded-Host: evil.test", policy.BadRequest},
		{"X-Forwarded-Host: APP.TEST", policy.BadRequest},
	} {
		for _, g := range tongues() {
			if !g.whole {
				continue
			}
			g.wants(t, g.ask(t, addr, append(g.fields("/open/x"), tc.field)), tc.field, tc.want)
			g.wants(t, g.ask(t, addr, append(g.fields("/open/x"), tc.field, tc.field)), tc.field+" twice", policy.BadRequest)
		}
	}
}

// Of a chain, only the rightmost address that no trusted proxy vouches for counts.
func TestTheClientsAddressIsTheRightmostThatIsNotTrusted(t *testing.T) {
	w := engine(t)
	addr := listening(t, w, loopback)
	for chain, want := range map[string]string{
		"192.0.2.7":                               "192.0.2.7",
		"198.51.100.1, 192.0.2.7":                 "192.0.2.7", // the first is what the client says
		"192.0.2.7, 10.0.0.1":                     "192.0.2.7",
		"127.0.0.1, 192.0.2.7, 10.0.0.1":          "192.0.2.7",
		"192.0.2.7,10.0.0.1,10.0.0.2":             "192.0.2.7",
		"192.0.2.7 ,\t10.0.0.1":                   "192.0.2.7",
		"10.0.0.1":                                "10.0.0.1", // a client of our own network
		"10.0.0.3, 10.0.0.1":                      "10.0.0.3",
		"::ffff:192.0.2.7":                        "192.0.2.7",
		"192.0.2.7, ::ffff:10.0.0.1":              "192.0.2.7",
		"2001:db8::1":                             "2001:db8::1",
		strings.Repeat("192.0.2.7, ", 31) + "::1": "::1",
	} {
		for _, g := range tongues() {
			fields := append(without(g.fields("/open/x"), forwardedFor), forwardedFor+": "+chain)
			g.wants(t, g.ask(t, addr, fields), chain, policy.OK)
			if asked := w.take(); len(asked) != 1 || asked[0].ClientIP.String() != want {
				t.Errorf("%s: of %q, the client is %v, want %s", g, chain, asked[0].ClientIP, want)
			}
		}
	}
}

// Whoever is not in trust: may say what they like.
func TestAnUntrustedPeerIsNotBelieved(t *testing.T) {
	w := engine(t)
	addr := listening(t, w, policy.Prefixes{netip.MustParsePrefix("10.0.0.0/8")})
	for _, g := range tongues() {
		g.wants(t, g.ask(t, addr, g.fields("/open/x")), "a public path", policy.BadRequest)
		g.wants(t, g.ask(t, addr, append(g.fields("/v1/orders"), "X-Api-Key: good")), "a good key", policy.BadRequest)
		for _, r := range w.take() {
			if r.Edge != g.edge || r.Path != "" || r.ClientIP.IsValid() {
				t.Errorf("%s: %+v was read of an untrusted peer", g, r)
			}
		}
	}
}
