package proxy

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

func TestTheUpstreamGetsThePathThatWasJudged(t *testing.T) {
	g := run(t)
	for _, tc := range []struct{ sent, want string }{
		{"/open/", "/open/"},
		{"/open/x", "/open/x"},
		{"/open/x/", "/open/x/"},
		{"/open/%78", "/open/x"}, // unreserved: RFC 3986 calls them equal
		{"/%6f%70en/%7e%2d%2E%5fx", "/open/~-._x"},
		{"/open/%e2%82%ac", "/open/%E2%82%AC"},
		{"/open/a%20b", "/open/a%20b"},
		{"/open/%21%24%26%27%28%29%2a%2b%2c%3a%3d%40", "/open/%21%24%26%27%28%29%2A%2B%2C%3A%3D%40"},
		{"/open/!$&'()*+,:=@", "/open/!$&'()*+,:=@"},
		{"/open/%5b%5D%7b%7D%7c%5e%60%22%3c%3e", "/open/%5B%5D%7B%7D%7C%5E%60%22%3C%3E"},
		{"/open/..x/x../.x", "/open/..x/x../.x"},
		{"/encoded/a%2fb", "/encoded/a%2Fb"},
		{"/encoded/100%25", "/encoded/100%25"},
		{"/encoded/%2561", "/encoded/%2561"},
		{"/encoded/a;b=c", "/encoded/a;b=c"},
		{"/encoded/a%3bb", "/encoded/a%3Bb"},
		{"/encoded/a%3fb%23c", "/encoded/a%3Fb%23c"},
		{"/encoded/a%3fb?c", "/encoded/a%3Fb?c"},
	} {
		if got := g.pass(t, request("GET "+tc.sent)); got.Line != "GET "+tc.want+" HTTP/1.1" {
			t.Errorf("of %s, the upstream got %s", tc.sent, got.Line)
		}
	}
}

// A query is no part of the decision, so there is nothing to change in it.
func TestTheUpstreamGetsTheQueryByteForByte(t *testing.T) {
	g := run(t)
	for _, query := range []string{
		"?", "??", "?a=b", "?a=%zz&role=admin", "?role=user;role=admin", "?%", "?%2", "?a%zz", "?&", "?a&&b&", "?=", "?a=b=c",
		"?/../v1", "?//x", "?%2e%2e%2f", "?%00", "?a+b%20c", "?a=%C3%a9", "?caf\xc3\xa9", "?\xff", `?"<>\^{|}` + "`[]'", "?http://x/#"[:10],
		"?api_keys=1&xapi_key=2&api_key%zz=3", "?z=1&a=2&z=3", "?a=1;b=2", "?" + strings.Repeat("a=b&", 2000), "?" + strings.Repeat("&", 8000),
	} {
		if got := g.pass(t, request("GET /open/x"+query)); got.Line != "GET /open/x"+query+" HTTP/1.1" {
			t.Errorf("of the query %.80q, the upstream got %.100q", query, got.Line)
		}
	}
}

func TestATargetThatTwoProgramsCouldReadDifferentlyIsRefused(t *testing.T) {
	g := run(t)
	for _, target := range []string{
		"/open/../v1/x", "/open/%2e%2e/v1", "/open/%2E./v1", "/open/.", "/open/%2e", "//open/x", "/open//x", "/open/x//", "/open/a%2fb", "/open/a%5Cb",
		`/open/a\b`, "/open/a;b", "/open/a%3bb", "/open/;/x", "/open/%00", "/open/%0d%0a", "/open/%7f", "/open/#x", "/open/x#", "/open/?#x", "/open/%2561", "/open/%23",
		"/open/%3fx", "/open/%ff", "/open/%c0%ae", "/open/caf\xc3\xa9", "/open/\xff", "/open/a|b", `/open/"`, "/open/<x>", "/open/a^b", "/open/[x]", "/open/`",
		"/encoded/%2e%2e%2fv1", "/encoded/..%2fv1", "/encoded/..;/v1", "/encoded/%252e%252e/v1", "/encoded/a%252f..%252f..%252fv1",
		"/open/x?" + strings.Repeat("a=b&", 20_000/4), "/open/x?" + strings.Repeat("a&", 20_000), "/open/" + strings.Repeat("x", 9000),
	} {
		g.refuse(t, request("GET "+target), policy.BadRequest)
	}
}

// Only the origin-form of RFC 9112 §3.2.1 is judged. The absolute-form would bring a second
// host, the others have no path.
func TestOnlyTheOriginFormOfATargetIsTaken(t *testing.T) {
	g := run(t)
	for _, line := range []string{
		"GET http://app.test/open/x", "GET http://evil.test/open/x", "GET https://app.test/open/x", "GET //app.test/open/x", "GET app.test/open/x", "GET open/x",
		"OPTIONS *", "GET *", "CONNECT app.test:80", "CONNECT /open/x", "TRACE /open/x", "TRACK /open/x", "get /open/x", "PROPFIND /open/x", "PRI /open/x",
	} {
		raw := request(line)
		if line == "GET app.test/open/x" || line == "GET open/x" {
			refusedByNetHTTP(t, g, raw)
			continue
		}
		g.refuse(t, raw, policy.BadRequest)
	}
}

// What net/http refuses never becomes a decision. It is refused with 400 all the same.
func TestWhatNetHTTPRefusesReachesNoUpstream(t *testing.T) {
	g := run(t)
	for _, raw := range []string{
		request("GET /open/%zz"), request("GET /open/%"), request("GET /open/%2"), request("GET /open/a b"), request("GET /open/\x01"), request("GET /open/\x7f"),
		request("GET /open/x?\x01"), request("GET  /open/x"), request("GET /open/x "), request("G(T /open/x"), "GET /open/x\r\nHost: app.test\r\n\r\n",
		"GET /open/x HTTP/1.1\r\n\r\n", "GET /open/x HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", "GET /open/x HTTP/1.1\r\nHost: a b\r\n\r\n", "GET /open/x HTTP/1.1\r\nHost: user@app.test\r\n\r\n",
		request("GET /open/x", "X-A : b"), request("GET /open/x", "X-A: \x00"), request("GET /open/x", "X-A: a\x01b"), request("GET /open/x", "X(A: b"), request("GET /open/x", ": b"),
		request("GET /open/x", " folded: first line"), request("POST /open/x", "Transfer-Encoding: xchunked"), request("POST /open/x", "Transfer-Encoding: chunked, identity"),
		request("POST /open/x", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), request("POST /open/x", "Content-Length: +5"), request("POST /open/x", "Content-Length: 5", "Content-Length: 6"),
		request("POST /open/x", "Content-Length: 5, 5"), request("POST /open/x", "Content-Length: -1"), request("POST /open/x", "Content-Length: 0x5"),
		"GET /open/x HTTP/1.1 HTTP/1.1\r\nHost: app.test\r\n\r\n", "GET /open/x HTTP/3.0\r\nHost: app.test\r\n\r\n", "GET /open/x http/1.1\r\nHost: app.test\r\n\r\n",
		request("GET /open/x", "X-A: "+strings.Repeat("a", 100<<10)),
	} {
		refusedByNetHTTP(t, g, raw)
	}
}

// refusedByNetHTTP checks that a request gets a 4xx or 5xx, and is no decision.
func refusedByNetHTTP(t *testing.T, g *gateway, raw string) {
	t.Helper()
	from, decisions := len(g.upstream.Requests()), g.decided.made.Load()
	resp := servers.Send(t, g.addr, raw)
	if resp.Status < http.StatusBadRequest {
		t.Errorf("%.80q: %d", raw, resp.Status)
	}
	if seen := g.upstream.Requests()[from:]; len(seen) > 0 {
		t.Errorf("%.80q reached the upstream as %q", raw, seen[0].Line)
	}
	if g.decided.made.Load() != decisions {
		t.Errorf("%.80q became a decision; move it to where decisions are tested", raw)
	}
}

func TestTheHostIsOneThatEveryProgramReadsAlike(t *testing.T) {
	g := run(t)
	for host, want := range map[string]policy.Reason{
		"app.test": policy.OK, "APP.test": policy.OK, "app.test:80": policy.OK, "192.0.2.1": policy.OK, "[2001:db8::1]": policy.OK, "localhost": policy.OK, "a_b.test": policy.OK,
		"app.test.": policy.BadRequest, "app.test:8443": policy.BadRequest, "app.test:": policy.BadRequest, "evil.com,for=127.0.0.1": policy.BadRequest,
		"a.test,b.test": policy.BadRequest, "[fe80::1%25eth0]": policy.BadRequest, "::1": policy.BadRequest, "app..test": policy.BadRequest, "0x7f.1": policy.BadRequest,
		"": policy.BadRequest, "app.test;x": policy.BadRequest, "app.test'": policy.BadRequest, "%61pp.test": policy.BadRequest,
	} {
		raw := "GET /open/x HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
		if want != policy.OK {
			g.refuse(t, raw, want)
			continue
		}
		if got := g.pass(t, raw); len(got.Values("Host")) != 1 || got.Values("Host")[0] != host || got.Values("X-Forwarded-Host")[0] != host {
			t.Errorf("of the host %s, the upstream got %q", host, got.Fields)
		}
	}
	g.refuse(t, "GET /open/x HTTP/1.0\r\n\r\n", policy.BadRequest) // HTTP/1.0 need not name a host; we do not guess one
}
