package edge

import (
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

// A dead store is no reason to let anybody in, nor to call a key bad: nobody can know.
func TestStoreDown(t *testing.T) {
	eachLane(t, func(t *testing.T, s *stand) {
		s.letIn(t, s.withKey("GET /v1/orders/7"))
		s.redis.Stop()
		_, unknown := policy.KeyFormat{}.New()
		response := s.refused(t, request("GET /v1/orders/7", "X-API-Key: "+unknown.Reveal()), 503)
		if p := problem(t, response); p.Type != "urn:stile:unavailable" {
			t.Errorf("type %q", p.Type)
		}
		if after := response.Header.Values("Retry-After"); len(after) != 1 || after[0] != "1" {
			t.Errorf("Retry-After is %q", after)
		}
		s.refused(t, request("GET /v1/orders/7"), 401)
		s.letIn(t, s.withKey("GET /v1/orders/7")) // of the file, not of the store
	})
}

// Without stile, nobody gets in, not even by a route that is public.
func TestStileStopped(t *testing.T) {
	for _, l := range lanes() {
		if l.dies == 0 {
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			s := newStand(t, l)
			s.letIn(t, s.withKey("GET /v1/orders/7"))
			s.stile.Stop()
			for _, raw := range []string{
				s.withKey("GET /v1/orders/7"), request("GET /healthz"), request("GET /v1/orders/7"), s.withKey("GET /v1/socket", upgrade()...),
				s.withKey("POST /v1/things", "Content-Length: 3") + "abc", s.withKey("HEAD /v1/orders/7"),
			} {
				response := s.refused(t, raw, l.dies)
				if l.dies != 503 {
					continue
				}
				if got := response.Header.Get("Content-Type"); got != "application/problem+json" {
					t.Errorf("Content-Type is %q", got)
				}
				if after := response.Header.Values("Retry-After"); len(after) != 1 || after[0] != "1" {
					t.Errorf("Retry-After is %q", after)
				}
			}
		})
	}
}

// Error pages and caches that a site has for its own reasons apply to the question to
// stile, too. One that answers 200 in place of an error would be a yes.
func TestASiteThatPapersOverErrors(t *testing.T) {
	const pages = `error_page 400 401 403 404 405 500 502 503 504 =200 /sorry.html; proxy_intercept_errors on;
	proxy_cache_path cache keys_zone=pages:1m; proxy_cache pages; proxy_cache_key all; proxy_cache_valid any 10m; proxy_ignore_headers Cache-Control;
	satisfy any; allow all; merge_slashes off;`
	const sorry = "\n\t\tlocation = /sorry.html { auth_request off; return 200 sorry; }\n"
	for name, site := range map[string][]string{
		"in http":   {"merge_slashes off;", pages, "include stile-accel.conf;", "include stile-accel.conf;" + sorry},
		"in server": {"include stile-auth-request.conf;", "error_page 502 504 =200 /sorry.html; include stile-auth-request.conf;" + sorry},
	} {
		for _, listen := range []string{"127.0.0.1:8080", "127.0.0.1:8081"} {
			t.Run(name+" "+listen, func(t *testing.T) {
				other := map[string]string{"127.0.0.1:8080": "127.0.0.1:8081", "127.0.0.1:8081": "127.0.0.1:8080"}[listen]
				s := newStand(t, lane{name: "nginx", open: func(t testing.TB, s *stand) string {
					return servers.Nginx(t, deployed("nginx"), listen, s.addresses(append(site, other, servers.Free(t))...)...).Addr
				}})
				s.letIn(t, s.withKey("GET /v1/orders/7"))
				for range 2 {
					s.noneGetsIn(t, request("GET /v1/orders/7"))
					s.noneGetsIn(t, s.withKey("GET /v1/admin/books"))
				}
				s.letIn(t, s.withKey("GET /v1/orders/7")) // nor is a refusal kept for others
				s.stile.Stop()
				s.noneGetsIn(t, s.withKey("GET /v1/orders/7"))
				s.noneGetsIn(t, request("GET /v1/orders/7"))
			})
		}
	}
}

// noneGetsIn: whatever the client is told, the upstream hears nothing.
func (s *stand) noneGetsIn(t testing.TB, raw string) {
	t.Helper()
	if response, seen := s.send(t, raw); len(seen) != 0 || strings.Contains(response.Body, "fields") {
		t.Errorf("%s: status %d, reached the upstream %d times", raw, response.Status, len(seen))
	}
}
