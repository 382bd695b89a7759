package edge

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

// problem reads the problem document that a refusal by stile must have, whichever edge
// carries it.
func problem(t testing.TB, response *servers.Response) policy.Problem {
	t.Helper()
	var p policy.Problem
	if kind := response.Header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("Content-Type of a %d is %q: %s", response.Status, kind, response.Body)
	}
	if err := json.Unmarshal([]byte(response.Body), &p); err != nil {
		t.Fatalf("%v: %q", err, response.Body)
	}
	if p.Status != response.Status {
		t.Errorf("status %d in the document, %d in the answer", p.Status, response.Status)
	}
	if id := response.Header.Values("X-Request-Id"); len(id) != 1 || id[0] != p.RequestID || p.RequestID == "" {
		t.Errorf("X-Request-Id is %q, request_id %q", id, p.RequestID)
	}
	if cache := response.Header.Get("Cache-Control"); cache != "no-store" {
		t.Errorf("Cache-Control of a refusal is %q", cache)
	}
	return p
}

func answers(t *testing.T, s *stand) {
	_, stranger := policy.KeyFormat{}.New()
	for _, tc := range []struct {
		name, raw, reason string
		status            int
	}{
		{"no key", request("GET /v1/orders/7"), "no_credential", 401},
		{"an unknown key", request("GET /v1/orders/7", "X-API-Key: "+stranger.Reveal()), "bad_credential", 401},
		{"what is no key", request("GET /v1/orders/7", "X-API-Key: letmein"), "bad_credential", 401},
		{"an empty key", request("GET /v1/orders/7", "X-API-Key:"), "bad_request", 400},
		{"not in the group", s.withKey("GET /v1/admin/books"), "forbidden", 403},
		{"without the scope", s.withKey("POST /v1/orders", "Content-Length: 0"), "missing_scope", 403},
		{"no route", s.withKey("GET /v2/orders"), "no_route", 404},
		{"no route for the method", s.withKey("DELETE /healthz"), "no_route", 404},
		{"two keys", s.withKey("GET /v1/orders/7", "X-API-Key: "+stranger.Reveal()), "bad_request", 400},
		{"the key twice", s.withKey("GET /v1/orders/7", "X-API-Key: "+s.key), "bad_request", 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			response := s.refused(t, tc.raw, tc.status)
			if p := problem(t, response); p.Type != "urn:stile:"+tc.reason {
				t.Errorf("type is %q, want that of %s", p.Type, tc.reason)
			}
			challenges := response.Header.Values("Www-Authenticate")
			if tc.status == 401 && (len(challenges) != 1 || challenges[0] != `ApiKey realm="stile"`) {
				t.Errorf("a 401 has the challenges %q", challenges)
			}
		})
	}
}

func letIn(t *testing.T, s *stand) {
	t.Run("with a key", func(t *testing.T) {
		_, seen := s.letIn(t, s.withKey("GET /v1/orders/7?a=1&b=%2F..&a=", "X-Request-Id: mine-1", "Accept-Language: de"))
		if seen.Line != "GET /v1/orders/7?a=1&b=%2F..&a= HTTP/1.1" {
			t.Errorf("the upstream got the request line %q", seen.Line)
		}
		for name, want := range map[string]string{
			"Host": host, "X-Request-Id": "mine-1", "Accept-Language": "de",
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": host, "X-Forwarded-Proto": "http",
		} {
			if got := seen.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("the upstream got %s: %q, want %q", name, got, want)
			}
		}
	})
	t.Run("a public route", func(t *testing.T) {
		response, seen := s.send(t, request("GET /healthz"))
		if response.Status != 200 || len(seen) != 1 {
			t.Fatalf("status %d, reached the upstream %d times", response.Status, len(seen))
		}
		s.hasIdentity(t, seen[0], map[string]string{"x-anonymous-consumer": "true"})
	})
	t.Run("a public route, with a key", func(t *testing.T) {
		response, seen := s.send(t, s.withKey("GET /healthz"))
		if response.Status != 200 || len(seen) != 1 {
			t.Fatalf("status %d, reached the upstream %d times", response.Status, len(seen))
		}
		s.hasIdentity(t, seen[0], map[string]string{"x-anonymous-consumer": "true"})
	})
	t.Run("HEAD", func(t *testing.T) {
		response, seen := s.letIn(t, s.withKey("HEAD /v1/orders/7"))
		if response.Body != "" || !strings.HasPrefix(seen.Line, "HEAD /v1/orders/7 ") {
			t.Errorf("body %q, the upstream got %q", response.Body, seen.Line)
		}
		if s.refused(t, request("HEAD /v1/orders/7"), 401).Body != "" {
			t.Error("the answer to a refused HEAD has a body")
		}
	})
}

func hosts(t *testing.T, s *stand) {
	raw := s.withKey("GET /v1/orders/7")
	for _, other := range []string{
		"evil.example.com", "api.example.com.", "api.example.com:8443", "evil.test,api.example.com", "127.0.0.1", "user@api.example.com",
	} {
		s.refused(t, strings.Replace(raw, host, other, 1), 400)
	}
	for _, same := range []string{"API.example.com", "api.example.com:80", "api.example.com:8080"} {
		_, seen := s.letIn(t, strings.Replace(raw, host, same, 1))
		if got := seen.Values("Host"); len(got) != 1 || got[0] != same {
			t.Errorf("the upstream got Host %q of %q", got, same)
		}
	}
	s.refused(t, "GET /v1/orders/7 HTTP/1.1\r\nX-API-Key: "+s.key+"\r\n\r\n", 400)
	s.refused(t, request("GET /v1/orders/7", "Host: "+host, "X-API-Key: "+s.key), 400)
}
