package edge

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

// truth sends what may be let in or refused, and fails when the upstream is told anything
// but the truth.
func (s *stand) truth(t *testing.T, raw string) {
	t.Helper()
	response, seen := s.send(t, raw)
	for _, one := range seen {
		s.isAcme(t, one)
	}
	switch {
	case response.Status == 200 && len(seen) == 1:
	case response.Status >= 400 && response.Status < 500 && len(seen) == 0:
	default:
		t.Errorf("%s: status %d, reached the upstream %d times", clip(raw), response.Status, len(seen))
	}
}

func forgedIdentity(t *testing.T, s *stand) {
	for _, name := range append(policy.IdentityHeaders(), "X-Consumer-Role", "X-Stile-Status") {
		// Written as it is, it is refused by everybody alike.
		s.refused(t, s.withKey("GET /v1/orders/7", name+": root"), 400)
		s.refused(t, request("GET /healthz", name+": root"), 400)
		s.refused(t, s.withKey("GET /v1/orders/7", strings.ToUpper(name)+": root"), 400)
		s.refused(t, s.withKey("GET /v1/orders/7", name+": acme", name+": root"), 400)
		s.refused(t, s.withKey("GET /v1/orders/7", name+":"), 400)
		// Some edges drop what only looks like it.
		for _, alias := range []string{
			strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", "."), strings.Replace(name, "-", "_", 1),
			"X-" + strings.ReplaceAll(name[2:], "-", "_"), strings.ToLower(strings.ReplaceAll(name, "-", "_")),
		} {
			s.truth(t, s.withKey("GET /v1/orders/7", alias+": root"))
		}
		s.truth(t, s.withKey("GET /v1/orders/7", name+" : root"))
		s.truth(t, s.withKey("GET /v1/orders/7", "X-Folded: a\r\n "+name+": root"))
	}
}

// What a client lists in Connection is dropped on the way (RFC 9110 §7.6.1), and so could
// be what the edge or stile had set in between.
func connectionLists(t *testing.T, s *stand) {
	for _, list := range []string{
		"X-Consumer-ID", "close, X-Consumer-ID, X-Consumer-Username, X-Consumer-Groups, X-Credential-Identifier, X-Request-Id",
		"keep-alive, x-consumer-groups", "X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, X-Forwarded-Uri, X-Forwarded-Method",
		"X-Original-URI, X-Original-Method", "X-Stile-Status", "Host", "X-API-Key", "Upgrade, X-Consumer-ID", "X-Accel-Redirect, Content-Length",
	} {
		s.truth(t, s.withKey("GET /v1/orders/7", "Connection: "+list))
		s.truth(t, s.withKey("GET /v1/orders/7", "Connection: close", "Connection: "+list))
		s.refused(t, s.withKey("GET /v1/admin/books", "Connection: "+list), 400, 401, 403)
	}
	before := len(s.upstream.Requests())
	x := servers.Begin(t, s.addr, s.withKey("GET /v1/socket", append(upgrade()[1:], "Connection: Upgrade, X-Consumer-ID, X-Consumer-Groups")...))
	defer x.Close()
	for _, seen := range s.upstream.Requests()[before:] {
		s.isAcme(t, seen)
	}
}

// Whatever a client says about another request than the one it makes changes nothing.
func forgedRequest(t *testing.T, s *stand) {
	_, stranger := policy.KeyFormat{}.New()
	forgeries := []string{
		"X-Forwarded-Uri: /healthz", "X-Forwarded-Method: OPTIONS", "X-Forwarded-Host: other.example.com", "X-Forwarded-Proto: gopher",
		"X-Forwarded-For: 10.1.2.3", "X-Forwarded-Prefix: /healthz", "X-Forwarded-Port: 1", "X-Forwarded-Server: here",
		"X-Original-URI: /healthz", "X-Original-URL: http://api.example.com/healthz", "X-Original-Method: GET",
		"X-Rewrite-URL: /healthz", "X-Replaced-Path: /healthz", "X-HTTP-Method-Override: GET", "Forwarded: for=10.1.2.3;host=evil",
		"X-Real-IP: 10.1.2.3", "X-Accel-Redirect: @upstream", "X-Stile: 1", "User-Agent: kube-probe/1.30", "Proxy-Authorization: Basic eA==",
	}
	for _, forged := range forgeries {
		for _, headers := range [][]string{{forged}, {forged, forged}, {forged + ", /x"}} {
			s.refused(t, request("GET /v1/orders/7", headers...), 401)
			s.refused(t, s.withKey("GET /v1/admin/books", headers...), 403)
			response, seen := s.send(t, s.withKey("GET /v1/orders/7", headers...))
			if response.Status != 200 || len(seen) != 1 {
				t.Errorf("with %q: status %d, reached the upstream %d times", headers, response.Status, len(seen))
				continue
			}
			s.isAcme(t, seen[0])
			s.tellsNoForgery(t, forged, seen[0])
		}
	}
	// Aliases of what stile reads: refused, or dropped and so without effect.
	for _, alias := range []string{"X_Forwarded_Uri", "X.Forwarded.Uri", "X_Original_URI", "X_Forwarded_Host", "X_Original_Method"} {
		s.refused(t, request("GET /v1/orders/7", alias+": /healthz"), 400, 401)
	}
	for _, alias := range []string{"X_API_Key", "X.API.Key", "X-API_Key"} {
		s.refused(t, request("GET /v1/orders/7", alias+": "+s.key), 400, 401)
		s.truth(t, s.withKey("GET /v1/orders/7", alias+": "+stranger.Reveal()))
	}
}

// tellsNoForgery: of the headers by which proxies speak of a request, the upstream hears
// what is so, or nothing.
func (s *stand) tellsNoForgery(t testing.TB, forged string, seen servers.Seen) {
	t.Helper()
	name, value, _ := strings.Cut(forged, ": ")
	switch name {
	case "X-HTTP-Method-Override", "X-Accel-Redirect", "X-Stile", "User-Agent", "Proxy-Authorization", "X-Replaced-Path":
		return // not about proxies, or only about this one
	}
	for _, got := range seen.Values(name) {
		if strings.Contains(got, value) {
			t.Errorf("the forged %s reached the upstream as %q", name, got)
		}
	}
	for name, want := range map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": host, "X-Forwarded-Proto": "http"} {
		if got := seen.Values(name); fmt.Sprint(got) != fmt.Sprint([]string{want}) {
			t.Errorf("with %q the upstream got %s: %q, want %q", forged, name, got, want)
		}
	}
}
