package edge

import (
	"net/http"
	"strings"
	"testing"
)

// The consumer may read /v1/ and not /v1/admin/. Whatever reads as the latter to anybody
// must not reach the upstream, however it is written.
func pathsToWhatIsForbidden(t *testing.T, s *stand) {
	for _, target := range []string{
		"/v1/admin/books", "/v1/%61dmin/books", "/v1/%61%64%6D%69%6e/books", "/v1/admin/", "/v1/admin/books?x=/v1/orders/7",
		"/v1//admin/books", "//v1/admin/books", "/v1/admin//books", "/v1/./admin/books", "/v1/%2e/admin/books",
		"/v1/x/../admin/books", "/v1/x/%2e%2e/admin/books", "/v1/x/.%2E/admin/books", "/v1/x/..%2fadmin/books", "/v1/x%2f..%2fadmin/books",
		"/healthz/../v1/admin/books", "/v1%2fadmin/books", "/v1/admin%2fbooks", "/v1/admin%2Fbooks", "/v1/%2561dmin/books", "/v1/x/%252e%252e/admin/books",
		"/v1/admin;x=1/books", "/v1/admin%3bx/books", "/v1/x;/../admin/books", "/v1/x/..;/admin/books", "/v1\\admin\\books", "/v1/x\\..\\admin/books",
		"/v1/x%5c..%5cadmin/books", "/v1/admin%00/books", "/v1/admin/books%00", "/v1/admin%3fx/books", "/v1/admin%23/books", "/v1/admin/books#f",
		"/v1/x#/../admin/books", "/v1/%c0%ae%c0%ae/v1/admin/books", "http://api.example.com/v1/admin/books",
		"http://evil.example.com/v1/admin/books", "http://api.example.com/v1/x/../admin/books", "v1/admin/books", "*", "?/v1/admin/books",
	} {
		s.refused(t, s.withKey("GET "+target), 400, 403, 404)
		s.refused(t, s.withKey("HEAD "+target), 400, 403, 404)
		s.refused(t, request("GET "+target), 400, 401, 404)
	}
}

// Malformed is 400, whoever says it.
func malformedPaths(t *testing.T, s *stand) {
	for _, target := range []string{
		"/v1/%zz", "/v1/%", "/v1/a%2", "/v1/a%00", "/v1/a%5Cb", "/v1/a%2Fb", "/v1/a%25b", "/v1/a%3Bb", "/v1/a;b", "/v1/a%3Fb", "/v1/a%23b",
		"/v1/%ff", "/v1/a%0d%0aX-Consumer-ID:%20root", "/v1/a%7f", "/v1/a b", "/v1/a\tb",
	} {
		s.refused(t, s.withKey("GET "+target), 400)
	}
}

// What is let in reaches the upstream as it came, or as the canonical form that was judged.
func pathsThatPass(t *testing.T, s *stand) {
	for _, tc := range []struct{ raw, canonical string }{
		{"/v1/orders/7", "/v1/orders/7"},
		{"/v1/", "/v1/"},
		{"/v1/a/", "/v1/a/"},
		{"/v1/%61%2D%7e", "/v1/a-~"},
		{"/v1/a%20b", "/v1/a%20b"},
		{"/v1/caf%c3%a9", "/v1/caf%C3%A9"},
		{"/v1/a@b:c,d=e", "/v1/a@b:c,d=e"},
		{"/v1/a%40b", "/v1/a%40b"},
		{"/v1/x?", "/v1/x?"},
		{"/v1/x?q=%2f..%2f&q=%zz&%61=;a;b&c=/../d??", "/v1/x?q=%2f..%2f&q=%zz&%61=;a;b&c=/../d??"},
		{"/v1/x?q=" + strings.Repeat("a", 4000), "/v1/x?q=" + strings.Repeat("a", 4000)},
	} {
		response, seen := s.send(t, s.withKey("GET "+tc.raw))
		if response.Status != http.StatusOK || len(seen) != 1 {
			t.Errorf("%s: status %d, reached the upstream %d times", tc.raw, response.Status, len(seen))
			continue
		}
		// Traefik escapes a semicolon in a query, which it otherwise turned into &.
		if got := strings.ReplaceAll(seen[0].Target(), "%3B", ";"); got != tc.raw && got != tc.canonical {
			t.Errorf("%s reached the upstream as %s", tc.raw, got)
		}
	}
}

func methods(t *testing.T, s *stand) {
	for _, method := range []string{"PUT", "PATCH", "DELETE", "OPTIONS"} {
		_, seen := s.letIn(t, s.withKey(method+" /v1/orders/7", "Content-Length: 0"))
		if !strings.HasPrefix(seen.Line, method+" ") {
			t.Errorf("%s reached the upstream as %q", method, seen.Line)
		}
		s.refused(t, request(method+" /v1/orders/7", "Content-Length: 0"), 401)
	}
	// Caddy and Traefik answer 200 by themselves, and ask nobody.
	s.refused(t, s.withKey("OPTIONS *"), 200, 400, 404)
	for _, method := range []string{"TRACE", "CONNECT", "get", "PROPFIND", "G@T"} {
		s.refused(t, s.withKey(method+" /v1/orders/7", "Content-Length: 0"), 400, 404, 405, 501)
	}
}
