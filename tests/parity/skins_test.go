package parity

import (
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stile-gate/stile/authsvc"
	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/proxy"
	"github.com/stile-gate/stile/tests/servers"
)

// answer is what came back, in the same words for every skin.
type answer struct {
	status   int
	reason   string            // "" when the answer is none of stile's
	identity map[string]string // headers that an upstream gets of who is calling, when let in
	target   string            // that the upstream got; of the gateway alone
}

// skin is one way of asking.
type skin struct {
	name string
	ask  func(*testing.T, call) answer
}

const (
	gatewaySkin = "gateway"
	urlSkin     = "nginx with X-Original-URL"
)

// edgeWrites lists what the edge of each family writes itself, so that no client's copy is
// left of it. What it does not write is passed on: the other family among it.
var (
	forwardedFamily = []string{"X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri", "X-Forwarded-For"}
	originalFamily  = []string{"X-Original-Method", "X-Original-URI", "X-Original-URL", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-For"}
)

// skins starts an auth listener and a gateway that ask the same engine.
func skins(t *testing.T, d policy.Decider, upstream *servers.Recorder, hidden []policy.Carrier) []skin {
	t.Helper()
	trust := policy.Prefixes{netip.MustParsePrefix("127.0.0.0/8")}
	auth := serving(t, authsvc.NewServer(authsvc.NewAuthHandler(d, trust)))
	gateway := serving(t, proxy.NewServer(&proxy.Gateway{
		Decider: d, Trust: trust, Hidden: hidden, Transport: &http.Transport{DisableCompression: true},
		Upstreams: map[string]*url.URL{"": {Scheme: "http", Host: upstream.Addr}}, Log: slog.New(slog.DiscardHandler),
	}))
	forwarded := func(c call) []string {
		return []string{"X-Forwarded-Method: " + c.method, "X-Forwarded-Proto: " + c.scheme, "X-Forwarded-Host: " + c.host, "X-Forwarded-Uri: " + c.target, "X-Forwarded-For: " + c.ip}
	}
	original := func(c call) []string {
		return []string{"X-Original-Method: " + c.method, "X-Original-URI: " + c.target, "X-Forwarded-Proto: " + c.scheme, "X-Forwarded-Host: " + c.host, "X-Forwarded-For: " + c.ip}
	}
	wholeURL := func(c call) []string {
		return []string{"X-Original-Method: " + c.method, "X-Original-URL: " + c.scheme + "://" + c.host + c.target, "X-Forwarded-For: " + c.ip}
	}
	asks := func(path string, family []string, say func(call) []string) func(*testing.T, call) answer {
		return func(t *testing.T, c call) answer {
			fields := append(without(c.fields, family), say(c)...)
			resp := servers.Send(t, auth, "GET "+path+" HTTP/1.1\r\nHost: stile.test\r\n"+strings.Join(fields, "\r\n")+"\r\n\r\n")
			return read(t, resp)
		}
	}
	return []skin{
		{"traefik", asks("/auth/traefik", forwardedFamily, forwarded)},
		{"caddy", asks("/auth/caddy", forwardedFamily, forwarded)},
		{"nginx", asks("/auth/nginx", originalFamily, original)},
		{urlSkin, asks("/auth/nginx", originalFamily, wholeURL)},
		{"nginx-accel", asks("/auth/nginx-accel/", originalFamily, original)},
		{gatewaySkin, func(t *testing.T, c call) answer { return through(t, gateway, upstream, c) }},
	}
}

// serving runs a server on loopback.
func serving(t *testing.T, s *http.Server) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	return ln.Addr().String()
}

// without drops fields by their exact names; aliases stay.
func without(fields, names []string) []string {
	return slices.DeleteFunc(slices.Clone(fields), func(f string) bool {
		name, _, _ := strings.Cut(f, ":")
		return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
	})
}

// through sends a call to the gateway, which stands behind a load balancer that terminates
// TLS: it says scheme and client's address, and has let nothing else of theirs through.
func through(t *testing.T, addr string, upstream *servers.Recorder, c call) answer {
	t.Helper()
	fields := append(without(c.fields, []string{"X-Forwarded-For", "X-Forwarded-Proto"}), "X-Forwarded-For: "+c.ip, "X-Forwarded-Proto: "+c.scheme)
	before := len(upstream.Requests())
	resp := servers.Send(t, addr, c.method+" "+c.target+" HTTP/1.1\r\nHost: "+c.host+"\r\n"+strings.Join(fields, "\r\n")+"\r\n\r\n")
	seen := upstream.Requests()[before:]
	if resp.Status != http.StatusOK {
		if len(seen) > 0 {
			t.Errorf("%s: gateway: answered %d, and yet the upstream got %q", c.name, resp.Status, seen[0].Line)
		}
		return read(t, resp)
	}
	if len(seen) != 1 {
		t.Fatalf("%s: gateway: the upstream got %d requests", c.name, len(seen))
	}
	a := answer{status: resp.Status, reason: "ok", identity: map[string]string{}, target: seen[0].Target()}
	for _, name := range identityNames() {
		if values := seen[0].Values(name); len(values) > 0 {
			a.identity[name] = strings.Join(values, " AND ")
		}
	}
	if method, _, _ := strings.Cut(seen[0].Line, " "); method != c.method {
		t.Errorf("%s: gateway: the upstream got the method %s", c.name, method)
	}
	return a
}

// read tells what an auth endpoint, or a refusal of the gateway, says.
func read(t *testing.T, resp *servers.Response) answer {
	t.Helper()
	a := answer{status: resp.Status}
	if resp.Status == http.StatusOK {
		a.reason, a.identity = "ok", map[string]string{}
		for _, name := range identityNames() {
			// Caddy is told what does not apply by an empty value, and removes it.
			if values := resp.Header[name]; len(values) > 0 && !slices.Equal(values, []string{""}) {
				a.identity[name] = strings.Join(values, " AND ")
			}
		}
		if resp.Body != "" {
			t.Errorf("an allowed answer has the body %q", resp.Body)
		}
		return a
	}
	if a.reason = resp.Header.Get("X-Stile-Reason"); a.reason != "" { // nginx
		return a
	}
	var p policy.Problem
	if json.Unmarshal([]byte(resp.Body), &p) == nil && p.Status == resp.Status {
		a.reason = strings.TrimPrefix(p.Type, "urn:stile:")
	}
	return a
}

func identityNames() []string { return append(policy.IdentityHeaders(), policy.HeaderRequestID) }
