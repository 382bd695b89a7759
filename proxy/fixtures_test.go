package proxy

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

// gateway is a running Gateway, its one good upstream, and what it was asked.
type gateway struct {
	addr     string
	upstream *servers.Recorder
	decided  *tally
	logged   *strings.Builder
}

// tally counts decisions.
type tally struct {
	policy.Decider
	made atomic.Int64
}

func (c *tally) Decide(ctx context.Context, r *policy.Request) policy.Decision {
	c.made.Add(1)
	return c.Decider.Decide(ctx, r)
}

// keyHolder takes the key "good", in any of the three places, for that of acme.
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
	return &policy.Identity{
		Ref: policy.Ref{Kind: "key", ID: "k1"}, Credential: "k1", Scopes: []string{"orders:read"}, ConsumerID: "acme",
		Consumer: &policy.Consumer{ID: "acme", Username: "Acme Ltd", Groups: []string{"partners"}},
	}, nil
}

// routes has something public below /open/, something for keys below /v1/, a route that
// takes escapes as data, and three that lead nowhere.
func routes() []policy.Route {
	const everything = policy.EncodedSlash | policy.EncodedPercent | policy.EncodedSemicolon | policy.EncodedQuestion | policy.EncodedHash
	key := []policy.NamedAuthenticator{{Name: "partner", Scheme: policy.APIKey, Authenticator: keyHolder{}}}
	return []policy.Route{
		{Name: "open", Match: "/open/", Public: "for a test", Upstream: "app"},
		{Name: "encoded", Match: "/encoded/", Public: "for a test", Encoded: everything, Upstream: "app"},
		{Name: "orders", Match: "/v1/", Authenticate: key, Upstream: "app"},
		{Name: "down", Match: "/down/", Public: "for a test", Upstream: "down"},
		{Name: "other", Match: "/other/", Public: "for a test", Upstream: "other"},
		{Name: "nowhere", Match: "/nowhere/", Public: "for a test", Upstream: "missing"},
	}
}

// hidden is a key in each place where one can stand.
func hidden() []policy.Carrier {
	return []policy.Carrier{{Header: "X-Api-Key", Hide: true}, {Query: "api_key", Hide: true}, {Cookie: "stile_key", Hide: true}}
}

// option changes a Gateway before it runs.
type option func(*Gateway)

func trusting(network string) option {
	return func(g *Gateway) { g.Trust = policy.Prefixes{netip.MustParsePrefix(network)} }
}

// leadingTo makes /other/ lead to an upstream.
func leadingTo(addr string) option {
	return func(g *Gateway) { g.Upstreams["other"] = &url.URL{Scheme: "http", Host: addr} }
}

// run serves a gateway on loopback.
func run(t testing.TB, options ...option) *gateway {
	t.Helper()
	engine, errs := policy.NewEngine(policy.Options{Routes: routes(), Carriers: hidden()})
	for _, err := range errs {
		t.Fatal(err)
	}
	up := servers.Upstream(t)
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = down.Close() // nobody listens there any more
	transport := &http.Transport{DisableCompression: true, ResponseHeaderTimeout: 5 * time.Second}
	running := &gateway{upstream: up, decided: &tally{Decider: engine}, logged: &strings.Builder{}}
	g := &Gateway{
		Decider: running.decided, Hidden: engine.Hidden(), Transport: transport,
		Upstreams: map[string]*url.URL{"app": {Scheme: "http", Host: up.Addr}, "down": {Scheme: "http", Host: down.Addr().String()}},
		Log:       slog.New(slog.NewTextHandler(running.logged, nil)),
	}
	for _, change := range options {
		change(g)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(g)
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(ln) })
	t.Cleanup(func() {
		_ = s.Close()
		serving.Wait()
		transport.CloseIdleConnections()
	})
	running.addr = ln.Addr().String()
	return running
}

// get sends a GET of a raw target with these fields.
func (g *gateway) get(t testing.TB, target string, fields ...string) *servers.Response {
	t.Helper()
	return servers.Send(t, g.addr, request("GET "+target, fields...))
}

// request is the bytes of a request without a body.
func request(line string, fields ...string) string {
	return line + " HTTP/1.1\r\nHost: app.test\r\n" + strings.Join(append(fields, "\r\n"), "\r\n")
}

// last is the only request that the upstream got since from.
func (g *gateway) last(t testing.TB, from int) servers.Seen {
	t.Helper()
	seen := g.upstream.Requests()[from:]
	if len(seen) != 1 {
		t.Fatalf("the upstream got %d requests, want one", len(seen))
	}
	return seen[0]
}

// pass sends a request that must reach the upstream, and returns what that got.
func (g *gateway) pass(t testing.TB, raw string) servers.Seen {
	t.Helper()
	from := len(g.upstream.Requests())
	if resp := servers.Send(t, g.addr, raw); resp.Status != http.StatusOK {
		t.Fatalf("%.80q: %d %s", raw, resp.Status, resp.Body)
	}
	return g.last(t, from)
}

// refuse sends a request that must be refused for a reason before an upstream hears of it.
func (g *gateway) refuse(t testing.TB, raw string, want policy.Reason) *servers.Response {
	t.Helper()
	from := len(g.upstream.Requests())
	resp := servers.Send(t, g.addr, raw)
	var p policy.Problem
	if err := json.Unmarshal([]byte(resp.Body), &p); err != nil && !strings.HasPrefix(raw, "HEAD ") {
		t.Errorf("%.80q: %d %q: %v", raw, resp.Status, resp.Body, err)
	}
	if resp.Status != want.Status() || p.Type != "urn:stile:"+want.String() || p.Status != resp.Status ||
		resp.Header.Get("Content-Type") != "application/problem+json" || resp.Header.Get("X-Request-Id") != p.RequestID {
		t.Errorf("%.80q: %d %v %s, want %s", raw, resp.Status, resp.Header, resp.Body, want)
	}
	if seen := g.upstream.Requests()[from:]; len(seen) > 0 {
		t.Errorf("%.80q was refused, and reached the upstream as %q", raw, seen[0].Line)
	}
	return resp
}

// answering is an upstream that reads the head of a request and answers each with the same
// bytes, whatever they are, and hangs up.
func answering(t testing.TB, raw string) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.WriteString(conn, raw)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		serving.Wait()
	})
	return ln.Addr().String()
}
