package edge

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stile-gate/stile/tests/servers"
)

// bodies reach the upstream, and come back, byte by byte.
func bodies(t *testing.T, s *stand) {
	for _, size := range []int{1, 5_000, 1 << 20} {
		body := strings.Repeat("0123456789abcde\n", size/16+1)[:size]
		for name, raw := range map[string]string{
			"with a length": s.withKey("POST /v1/things", fmt.Sprintf("Content-Length: %d", size)) + body,
			"in chunks":     s.withKey("POST /v1/things", "Transfer-Encoding: chunked") + chunked(body),
		} {
			response, seen := s.letIn(t, raw)
			if string(seen.Body) != body {
				t.Errorf("%d bytes %s reached the upstream as %d bytes", size, name, len(seen.Body))
			}
			if response.Body != body {
				t.Errorf("%d bytes %s came back as %d bytes", size, name, len(response.Body))
			}
		}
		s.refused(t, request("POST /v1/things", fmt.Sprintf("Content-Length: %d", size))+body, 401)
		s.refused(t, request("POST /v1/things", "Transfer-Encoding: chunked")+chunked(body), 401)
	}
	// Two lengths are two requests to somebody.
	for _, smuggled := range [][]string{
		{"Content-Length: 3", "Transfer-Encoding: chunked"},
		{"Content-Length: 3", "Content-Length: 4"},
		{"Transfer-Encoding: chunked, identity"},
		{"Transfer-Encoding: xchunked"},
		{"Content-Length: +3"},
	} {
		s.harmless(t, s.withKey("POST /v1/things", smuggled...)+"3\r\nabc\r\n0\r\n\r\nGET /v1/admin/books HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
	}
}

// harmless: the upstream sees one request at most, acme's own.
func (s *stand) harmless(t testing.TB, raw string) {
	t.Helper()
	_, seen := s.send(t, raw)
	if len(seen) > 1 {
		t.Errorf("%s: reached the upstream %d times", clip(raw), len(seen))
	}
	for _, one := range seen {
		s.isAcme(t, one)
		if strings.Contains(one.Line, "admin") {
			t.Errorf("%s: reached the upstream as %s", clip(raw), one.Line)
		}
	}
}

func chunked(body string) string {
	var b strings.Builder
	for len(body) > 0 {
		n := min(len(body), 7_000)
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return b.String() + "0\r\n\r\n"
}

func upgrade() []string {
	return []string{
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}
}

func websocket(t *testing.T, s *stand) {
	dialled := s.upstream.Dialled()
	s.refused(t, request("GET /v1/socket", upgrade()...), 401)
	s.refused(t, s.withKey("GET /v1/admin/socket", upgrade()...), 403)
	if more := s.upstream.Dialled() - dialled; more != 0 {
		t.Errorf("the upstream was dialled %d times for what was refused", more)
	}

	before := len(s.upstream.Requests())
	x := servers.Begin(t, s.addr, s.withKey("GET /v1/socket", upgrade()...))
	defer x.Close()
	if accept := x.Header.Get("Sec-Websocket-Accept"); x.Status != http.StatusSwitchingProtocols || accept != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("status %d, accept %q", x.Status, accept)
	}
	s.isAcme(t, s.upstream.Requests()[before])
	for _, message := range []string{"hello", strings.Repeat("x", 100_000), "bye"} {
		go func() { _, _ = io.WriteString(x, message) }()
		got := make([]byte, len(message))
		if _, err := io.ReadFull(x, got); err != nil || string(got) != message {
			t.Fatalf("sent %d bytes, got back %d others (%v)", len(message), len(got), err)
		}
	}
}

// otherUpgrades would let an application serve requests that nobody was asked about.
func otherUpgrades(t *testing.T, s *stand) {
	for _, headers := range [][]string{
		{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"},
		{"Connection: Upgrade", "Upgrade: h2c, websocket"},
		{"Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket"},
		{"Connection: Upgrade", "Upgrade: TLS/1.0"},
	} {
		before := len(s.upstream.Requests())
		servers.Begin(t, s.addr, s.withKey("GET /v1/orders/7", headers...)).Close()
		for _, one := range s.upstream.Requests()[before:] {
			s.isAcme(t, one)
			if got := one.Values("Upgrade"); len(got) > 1 || len(got) == 1 && got[0] != "websocket" {
				t.Errorf("with %q, Upgrade: %q reached the upstream", headers, got)
			}
		}
	}
}

// events arrive when they happen, not when the stream ends.
func events(t *testing.T, s *stand) {
	s.refused(t, request("GET /v1/events"), 401)
	x := servers.Begin(t, s.addr, s.withKey("GET /v1/events", "Accept: text/event-stream"))
	defer x.Close()
	if x.Status != http.StatusOK || x.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("status %d, %s", x.Status, x.Header.Get("Content-Type"))
	}
	first := make([]byte, len("data: first\n\n"))
	if _, err := io.ReadFull(x, first); err != nil || string(first) != "data: first\n\n" {
		t.Fatalf("first event: %q, %v", first, err)
	}
	s.upstream.Proceed(t) // it has waited until now
	rest, err := io.ReadAll(x)
	if err != nil || string(rest) != "data: second\n\n" {
		t.Fatalf("second event: %q, %v", rest, err)
	}
}

// keepAlive: what one request proved is not lent to the next on its connection.
func keepAlive(t *testing.T, s *stand) {
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	for _, step := range []struct {
		raw    string
		status int
	}{
		{s.withKey("GET /v1/orders/7"), 200},
		{request("GET /v1/orders/7"), 401},
		{s.withKey("GET /v1/orders/8"), 200},
		{s.withKey("GET /v1/admin/books"), 403},
		{request("GET /healthz"), 200},
	} {
		if _, err := io.WriteString(conn, step.raw); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != step.status {
			t.Errorf("%s: status %d, want %d", step.raw, response.StatusCode, step.status)
		}
	}
}
