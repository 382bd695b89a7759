package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

// whole sends a request and returns every byte that comes back.
func (g *gateway) whole(t testing.TB, raw string) string {
	t.Helper()
	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestABodyPassesByteForByte(t *testing.T) {
	g := run(t)
	body := make([]byte, 1<<20)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range body {
		body[i] = byte(random.Uint32())
	}
	for what, raw := range map[string]string{
		"with a length": request("POST /v1/orders", "X-Api-Key: good", fmt.Sprintf("Content-Length: %d", len(body))) + string(body),
		"in chunks":     request("PUT /v1/orders", "X-Api-Key: good", "Transfer-Encoding: chunked") + chunks(body, 60_000),
		"expecting 100": request("PATCH /v1/orders", "X-Api-Key: good", "Transfer-Encoding: chunked", "Expect: 100-continue") + chunks(body, 1<<20),
	} {
		from := len(g.upstream.Requests())
		whole := g.whole(t, strings.Replace(raw, "\r\n", "\r\nConnection: close\r\n", 1))
		if got := g.last(t, from); string(got.Body) != string(body) {
			t.Errorf("%s: the upstream got %d bytes, or others", what, len(got.Body))
		}
		if !strings.HasSuffix(whole, string(body)) && !strings.Contains(whole, "Transfer-Encoding: chunked") {
			t.Errorf("%s: the client got %d bytes back", what, len(whole))
		}
	}
	// A body that is refused reaches nobody.
	g.refuse(t, request("POST /v1/orders", "Content-Length: 4")+"body", policy.NoCredential)
}

func chunks(body []byte, size int) string {
	var b strings.Builder
	for len(body) > 0 {
		n := min(size, len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return b.String() + "0\r\n\r\n"
}

// Of a request with both lengths, a proxy before us may have taken the other one. What it
// takes for the body is judged like any request, but its answer would be another client's:
// the connection ends (RFC 9112 §6.3), or the request is refused.
func TestARequestWithTwoLengthsEndsTheConnection(t *testing.T) {
	const smuggled = "GET /v1/orders HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n"
	for what, raw := range map[string]string{
		"chunks counted, then the length": request("POST /open/x", "Content-Length: 6", "Transfer-Encoding: chunked") + "0\r\n\r\n" + smuggled,
		"the other way round":             request("POST /open/x", "Transfer-Encoding: chunked", "Content-Length: 6") + "0\r\n\r\n" + smuggled,
	} {
		g := run(t)
		whole := g.whole(t, raw)
		if n := strings.Count(whole, "HTTP/1.1 "); n != 1 {
			t.Errorf("%s: %d answers on one connection", what, n)
		}
		for _, got := range g.upstream.Requests() {
			if len(got.Values("Content-Length")) > 0 || strings.Contains(got.Line, "/v1/") {
				t.Errorf("%s: the upstream got %v", what, got)
			}
		}
	}
}

// A trailer comes after the judgement, so nothing in it may count as a header.
func TestATrailerBringsNoIdentity(t *testing.T) {
	g := run(t)
	const trailers = "X-Consumer-Id: admin\r\nX-Forwarded-For: 10.0.0.1\r\nX-Api-Key: S\r\nX-Checksum: 42\r\n"
	for what, fields := range map[string][]string{
		"told":   {"Transfer-Encoding: chunked", "Trailer: X-Consumer-Id, X-Forwarded-For, X-Api-Key, X-Checksum", "TE: trailers"},
		"untold": {"Transfer-Encoding: chunked"},
	} {
		from := len(g.upstream.Requests())
		resp := servers.Send(t, g.addr, request("POST /open/x", fields...)+"2\r\nhi\r\n0\r\n"+trailers+"\r\n")
		if resp.Status == http.StatusBadRequest { // refused is fine, too
			continue
		}
		got := g.last(t, from)
		if string(got.Body) != "hi" {
			t.Errorf("%s: the body is %q", what, got.Body)
		}
		for _, name := range []string{"X-Consumer-Id", "X-Api-Key"} {
			wantField(t, what+": "+name, got.Values(name))
		}
		for _, value := range got.Values("Trailer") {
			if strings.Contains(strings.ToLower(value), "x-consumer-id") {
				t.Errorf("%s: the upstream is told to expect %q", what, value)
			}
		}
		wantField(t, what+": X-Forwarded-For", got.Values("X-Forwarded-For"), "127.0.0.1")
	}
}

const upgrade = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUpgrade: websocket\r\nConnection: Upgrade"

func TestAWebSocketIsJudgedBeforeAnybodyIsDialled(t *testing.T) {
	g := run(t)
	g.refuse(t, request("GET /v1/socket", upgrade), policy.NoCredential)
	g.refuse(t, request("GET /v1/socket", upgrade, "X-Api-Key: bad"), policy.BadCredential)
	g.refuse(t, request("GET /v1/../open/socket", upgrade), policy.BadRequest)
	g.refuse(t, request("GET /open/socket", upgrade, "X-Consumer-Id: admin"), policy.BadRequest)
	if n := g.upstream.Dialled(); n > 0 {
		t.Fatalf("the upstream was dialled %d times", n)
	}
	x := servers.Begin(t, g.addr, request("GET /v1/socket", upgrade, "X-Api-Key: good"))
	defer x.Close()
	if x.Status != http.StatusSwitchingProtocols || x.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("%d %v", x.Status, x.Header)
	}
	for _, message := range []string{"\x81\x02hi", "GET /v1/admin HTTP/1.1\r\nHost: x\r\n\r\n"} { // bytes are bytes by now
		if _, err := io.WriteString(x, message); err != nil {
			t.Fatal(err)
		}
		echoed := make([]byte, len(message))
		if _, err := io.ReadFull(x, echoed); err != nil || string(echoed) != message {
			t.Errorf("echo of %q is %q (%v)", message, echoed, err)
		}
	}
	got := g.last(t, 0)
	wantField(t, "X-Consumer-ID", got.Values("X-Consumer-ID"), "acme")
	wantField(t, "Upgrade", got.Values("Upgrade"), "websocket")
	wantField(t, "X-Api-Key", got.Values("X-Api-Key"))
}

// Whatever else is asked for, nothing is upgraded: an upstream that took h2c would serve
// further requests on the connection, of which nobody was asked. And an upgrade is one only
// where Connection says so (RFC 9110 §7.8).
func TestNothingButAWebSocketIsUpgraded(t *testing.T) {
	g := run(t)
	for _, fields := range [][]string{
		{"Upgrade: websocket"},
		{"Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"},
		{"Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "Connection: Upgrade"},
		{"Upgrade: websocket, h2c", "Connection: Upgrade"},
		{"Upgrade: h2c, websocket", "Connection: Upgrade"},
		{"Upgrade: h2c", "Upgrade: websocket", "Connection: Upgrade"},
		{"Upgrade: websocket/13", "Connection: Upgrade"},
		{"Upgrade: TLS/1.0, HTTP/1.1", "Connection: Upgrade"},
		{"Upgrade: tcp", "Connection: Upgrade"},
		{"Connection: Upgrade"},
	} {
		got := g.pass(t, request("GET /open/x", fields...))
		for _, name := range []string{"Upgrade", "Connection", "Http2-Settings"} {
			wantField(t, fmt.Sprintf("of %q: %s", fields, name), got.Values(name))
		}
	}
}

func TestEventsAreStreamedAsTheyCome(t *testing.T) {
	g := run(t)
	x := servers.Begin(t, g.addr, request("GET /v1/events", "X-Api-Key: good", "Accept: text/event-stream"))
	defer x.Close()
	r := bufio.NewReader(x)
	first, err := r.ReadString('\n') // the second waits until this one has been read
	if err != nil || x.Status != http.StatusOK || !strings.HasPrefix(first, "data:") {
		t.Fatalf("%d, first %q (%v)", x.Status, first, err)
	}
	g.upstream.Proceed(t)
	rest, err := io.ReadAll(r)
	if err != nil || !strings.Contains(string(rest), "data:") {
		t.Errorf("then %q (%v)", rest, err)
	}
}

// A client that goes away takes its request along: the upstream's connection is closed and
// no goroutine stays.
func TestAClientThatGoesAwayLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) }) // runs after those of run
	began, ended := make(chan struct{}, 2), make(chan struct{}, 2)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	waits := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/other/late" {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
		}
		began <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
	})}
	served := make(chan struct{})
	go func() { _ = waits.Serve(ln); close(served) }()
	t.Cleanup(func() { _ = waits.Close(); <-served })
	g := run(t, leadingTo(ln.Addr().String()))
	for _, path := range []string{"/other/early", "/other/late"} {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "app.test"
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		if path == "/other/early" { // goes away while no answer has begun
			go func() { <-began; cancel() }()
		}
		resp, err := client.Do(req)
		if err == nil {
			cancel() // while the body streams
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		cancel()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the upstream still works for a client that has gone", path)
		}
	}
}
