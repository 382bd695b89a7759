package authsvc

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

// An edge may ask with whatever method it likes; the client's stands in a header.
func TestEveryMethodOfTheSubrequestIsAnsweredAlike(t *testing.T) {
	addr := listening(t, engine(t), loopback)
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "PURGE", "get", "TRACE", "CONNECT", "M-SEARCH", "echo_route_not_found"} {
		for _, g := range tongues() {
			open := servers.Send(t, addr, subrequest(method+" "+g.url, g.fields("/open/x")...))
			if open.Status != http.StatusOK || open.Body != "" {
				t.Errorf("%s: %s of what is public is %d %q", g, method, open.Status, open.Body)
			}
			closed := servers.Send(t, addr, subrequest(method+" "+g.url, g.fields("/v1/orders")...))
			if closed.Status != http.StatusUnauthorized {
				t.Errorf("%s: %s without a key is %d", g, method, closed.Status)
			}
		}
	}
}

// The method that is judged is the client's: HEAD goes where GET does, one that no route
// names is refused, and one that a route names is not.
func TestTheClientsMethodIsJudged(t *testing.T) {
	addr := listening(t, engine(t), loopback)
	for _, tc := range []struct {
		method, target string
		want           policy.Reason
	}{
		{"HEAD", "/open/x", policy.OK},
		{"DELETE", "/open/x", policy.OK},
		{"OPTIONS", "/open/x", policy.OK},
		{"OPTIONS", "/v1/orders", policy.NoCredential}, // a preflight is a request like another
		{"OPTIONS", "*", policy.BadRequest},
		{"PURGE", "/pot", policy.OK},
		{"PURGE", "/v1/orders", policy.NoCredential},
		{"GET", "/pot", policy.NoRoute},
		{"PROPFIND", "/open/x", policy.BadRequest},
		{"TRACE", "/open/x", policy.BadRequest},
		{"CONNECT", "/open/x", policy.BadRequest},
		{"head", "/open/x", policy.BadRequest},
	} {
		for _, g := range tongues() {
			fields := append(without(g.fields(tc.target), g.method), g.method+": "+tc.method)
			g.wants(t, g.ask(t, addr, fields), tc.method+" "+tc.target, tc.want)
		}
	}
}

// Caddy appends the client's query to the auth URL, and nginx can be told to append its
// path: neither is read.
func TestNothingOfTheAuthURLIsRead(t *testing.T) {
	addr := listening(t, engine(t), loopback)
	for _, query := range []string{
		"?X-Forwarded-Uri=/open/x&X-Original-URI=/open/x", "?uri=/open/x&method=OPTIONS", "?skip_auth=true&rd=/&policy=none",
		"?", "??", "?/../open/x", "?%zz", "?a;b", "?api_key=good&key=good", "?" + strings.Repeat("a=b&", 1000),
	} {
		for _, g := range tongues() {
			closed := servers.Send(t, addr, subrequest("GET "+g.url+query, g.fields("/v1/orders")...))
			g.wants(t, closed, "/v1/orders asked at "+query, policy.NoCredential)
			open := servers.Send(t, addr, subrequest("GET "+g.url+query, g.fields("/open/x")...))
			g.wants(t, open, "/open/x asked at "+query, policy.OK)
		}
	}
	g := tongues()[4]
	for _, path := range []string{"open/x", "../open/x", "%2e%2e/open", "@elsewhere", "a//b", "?location=@elsewhere"} {
		resp := servers.Send(t, addr, subrequest("GET "+g.url+path, g.fields("/v1/orders")...))
		g.wants(t, resp, "asked at "+g.url+path, policy.NoCredential)
		resp = servers.Send(t, addr, subrequest("GET "+g.url+path, g.fields("/open/x")...))
		if to := resp.Header.Get("X-Accel-Redirect"); to != "@upstream" {
			t.Errorf("asked at %s%s, nginx is sent to %q", g.url, path, to)
		}
	}
}

// A URL where no dialect is spoken allows nothing, whatever it holds. OPTIONS * is one
// that net/http would answer with 200 by itself.
func TestWhereNoDialectIsSpokenEverythingIsRefused(t *testing.T) {
	w := engine(t)
	addr := listening(t, w, loopback)
	var fields []string
	for _, g := range tongues()[:3] {
		fields = append(fields, g.fields("/open/x")...)
	}
	for _, line := range []string{
		"OPTIONS *", "GET *", "GET /", "GET /auth", "GET /auth/", "GET /auth/haproxy", "GET /AUTH/traefik", "GET /auth/Traefik", "GET /auth/traefik/",
		"GET /auth/traefik/x", "GET //auth/traefik", "GET /auth//traefik", "GET /auth/./traefik", "GET /x/../auth/traefik", "GET /auth/traefi%6b", "GET /auth%2Ftraefik",
		"GET /auth/traefik;x", "GET /auth/nginx-accel", "GET /auth/nginx-accelerated", "GET /auth/nginx/x", "GET /open/x", "PURGE /open/x", "CONNECT app.test:80", "GET http://app.test/open/x",
	} {
		resp := servers.Send(t, addr, subrequest(line, fields...))
		if resp.Status != http.StatusNotFound {
			t.Errorf("%s is %d %q", line, resp.Status, resp.Body)
		}
	}
	if asked := w.take(); len(asked) > 0 {
		t.Errorf("the decider was asked %d times", len(asked))
	}
	// A full URL of ours is the same URL (RFC 9112 §3.2.2), and not a request of the client's.
	g := tongues()[0]
	g.wants(t, servers.Send(t, addr, subrequest("GET http://elsewhere.test"+g.url, g.fields("/v1/orders")...)), "absolute-form", policy.NoCredential)
}

// A body of a subrequest is nobody's business, and an upgrade that Caddy passes along gets
// a plain answer.
func TestBodyAndUpgradeOfTheSubrequestAreIgnored(t *testing.T) {
	addr := listening(t, engine(t), loopback)
	for _, g := range tongues() {
		fields := strings.Join(g.fields("/open/x"), "\r\n")
		for what, raw := range map[string]string{
			"a body":         "POST " + g.url + " HTTP/1.1\r\nHost: s\r\n" + fields + "\r\nContent-Length: 4\r\n\r\nbody",
			"a chunked body": "POST " + g.url + " HTTP/1.1\r\nHost: s\r\n" + fields + "\r\nTransfer-Encoding: chunked\r\nTrailer: X-Original-URI\r\n\r\n4\r\nbody\r\n0\r\nX-Original-URI: /v1/orders\r\n\r\n",
			"an upgrade":     "GET " + g.url + " HTTP/1.1\r\nHost: s\r\n" + fields + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
			"h2c":            "GET " + g.url + " HTTP/1.1\r\nHost: s\r\n" + fields + "\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
			"HTTP/1.0":       "GET " + g.url + " HTTP/1.0\r\n" + fields + "\r\n\r\n",
		} {
			g.wants(t, servers.Send(t, addr, raw), what, policy.OK)
		}
	}
}
