package authsvc

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

// loopback trusts what the tests connect from, and one network of proxies further out.
var loopback = policy.Prefixes{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}

// witness is a Decider that remembers what it was asked.
type witness struct {
	policy.Decider
	mu    sync.Mutex
	asked []*policy.Request
}

func (w *witness) Decide(ctx context.Context, r *policy.Request) policy.Decision {
	w.mu.Lock()
	w.asked = append(w.asked, r)
	w.mu.Unlock()
	return w.Decider.Decide(ctx, r)
}

// take returns what was asked since the last call.
func (w *witness) take() []*policy.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.asked
	w.asked = nil
	return asked
}

// always answers every request alike.
type always policy.Decision

func (a always) Decide(context.Context, *policy.Request) policy.Decision {
	return policy.Decision(a)
}

// keyHolder takes the key "good" for that of acme.
type keyHolder struct{}

func (keyHolder) Authenticate(_ context.Context, r *policy.Request) (*policy.Identity, error) {
	key, err := r.Single("X-Api-Key")
	switch {
	case err != nil:
		return nil, err
	case key == "":
		return nil, policy.ErrNoCredential
	case key != "good":
		return nil, policy.Refuse(policy.BadCredential, "no such key")
	}
	return &policy.Identity{Ref: policy.Ref{Kind: "key", ID: "k1"}, Credential: "k1", Groups: []string{"partners"}}, nil
}

// engine has something public below /open/, something for keys below /v1/, a route that
// only PURGE comes by, and one that takes escaped slashes.
func engine(t testing.TB) *witness {
	t.Helper()
	key := []policy.NamedAuthenticator{{Name: "partner", Scheme: policy.APIKey, Authenticator: keyHolder{}}}
	e, errs := policy.NewEngine(policy.Options{
		Routes: []policy.Route{
			{Name: "open", Match: "/open/", Public: "for a test"},
			{Name: "brew", Match: "PURGE /pot", Public: "for a test"},
			{Name: "encoded", Match: "/encoded/{name}", Public: "for a test", Encoded: policy.EncodedSlash},
			{Name: "orders", Match: "/v1/", Authenticate: key},
		},
		Carriers: []policy.Carrier{{Header: "X-Api-Key", Hide: true}},
	})
	for _, err := range errs {
		t.Fatal(err)
	}
	return &witness{Decider: e}
}

// listening serves the auth endpoints on loopback and returns the address.
func listening(t testing.TB, d policy.Decider, trust policy.Prefixes) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(NewAuthHandler(d, trust))
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	return ln.Addr().String()
}

// tongue is a dialect as a test speaks it: where, and in which headers.
type tongue struct {
	edge, url string
	method    string // the header that carries the method
	scheme    string // "" where another header carries it
	host      string
	target    string
	whole     bool // target holds scheme and host, too
}

const forwardedFor = "X-Forwarded-For"

func tongues() []tongue {
	return []tongue{
		{"traefik", "/auth/traefik", "X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri", false},
		{"caddy", "/auth/caddy", "X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri", false},
		{"nginx", "/auth/nginx", "X-Original-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Original-URI", false},
		{"nginx", "/auth/nginx", "X-Original-Method", "", "", "X-Original-URL", true},
		{"nginx-accel", "/auth/nginx-accel/", "X-Original-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Original-URI", false},
		{"nginx-accel", "/auth/nginx-accel/", "X-Original-Method", "", "", "X-Original-URL", true},
	}
}

func (g tongue) String() string { return g.edge + " with " + g.target }

// names lists the headers that must each stand exactly once.
func (g tongue) names() []string {
	names := []string{g.method, g.target, forwardedFor}
	if !g.whole {
		names = append(names, g.scheme, g.host)
	}
	return names
}

// fields is a GET of http://app.test<target> as this dialect tells it, a field a line.
func (g tongue) fields(target string) []string {
	if g.whole {
		return []string{g.method + ": GET", g.target + ": http://app.test" + target, forwardedFor + ": 192.0.2.7"}
	}
	return []string{
		g.method + ": GET", g.scheme + ": http", g.host + ": app.test", g.target + ": " + target, forwardedFor + ": 192.0.2.7",
	}
}

// without drops the fields of a name.
func without(fields []string, name string) []string {
	var kept []string
	for _, f := range fields {
		if !strings.HasPrefix(f, name+":") {
			kept = append(kept, f)
		}
	}
	return kept
}

// subrequest is the bytes of a question to the auth listener.
func subrequest(line string, fields ...string) string {
	return line + " HTTP/1.1\r\nHost: stile.test\r\n" + strings.Join(append(fields, "Connection: close"), "\r\n") + "\r\n\r\n"
}

// ask sends a GET of these fields in a dialect.
func (g tongue) ask(t testing.TB, addr string, fields []string) *servers.Response {
	t.Helper()
	return servers.Send(t, addr, subrequest("GET "+g.url, fields...))
}

// told is the reason that an answer tells in its dialect, "" for one that tells none.
func (g tongue) told(t testing.TB, resp *servers.Response) string {
	t.Helper()
	if resp.Status == http.StatusOK {
		return "ok"
	}
	if g.edge == "nginx" {
		return resp.Header.Get("X-Stile-Reason")
	}
	var p policy.Problem
	if err := json.Unmarshal([]byte(resp.Body), &p); err != nil {
		t.Errorf("%s: body %q: %v", g, resp.Body, err)
	}
	if p.Status != resp.Status {
		t.Errorf("%s: the problem's status is %d, and the answer's %d", g, p.Status, resp.Status)
	}
	return strings.TrimPrefix(p.Type, "urn:stile:")
}

// wants checks that an answer tells a reason, with the status that its dialect has for it.
func (g tongue) wants(t testing.TB, resp *servers.Response, what string, want policy.Reason) {
	t.Helper()
	if got := g.told(t, resp); got != want.String() {
		t.Errorf("%s: %s: %s (%d), want %s", g, what, got, resp.Status, want)
	}
	status, truly := want.Status(), resp.Header.Get("X-Stile-Status")
	if g.edge == "nginx" && want != policy.OK {
		if truly != strconv.Itoa(status) {
			t.Errorf("%s: %s: X-Stile-Status is %q, want %d", g, what, truly, status)
		}
		if status != http.StatusUnauthorized {
			status = http.StatusForbidden
		}
	}
	if resp.Status != status {
		t.Errorf("%s: %s: status %d, want %d", g, what, resp.Status, status)
	}
}
