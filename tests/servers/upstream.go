package servers

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 6455 §1.3 says so
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Seen is one request as it came off the socket.
type Seen struct {
	Line   string      // the request line
	Fields [][2]string // names and values, in their order and spelling
	Body   []byte
}

// Target is the request target, byte by byte.
func (s Seen) Target() string {
	parts := strings.Split(s.Line, " ")
	return strings.Join(parts[1:len(parts)-1], " ")
}

// Values lists what stands under a name, in whatever letters it was written.
func (s Seen) Values(name string) []string {
	var values []string
	for _, f := range s.Fields {
		if strings.EqualFold(f[0], name) {
			values = append(values, f[1])
		}
	}
	return values
}

// Recorder is an upstream that remembers each request and then answers: GET and the like
// with JSON of what came, a body with the same body, a path that ends in /events with two
// events, of which the second waits for Proceed, one that ends in /ratelimit with limits of
// its own, and a WebSocket upgrade with 101 and an echo of every byte.
type Recorder struct {
	Addr string

	listener net.Listener
	proceed  chan struct{}
	done     chan struct{}
	mu       sync.Mutex
	dialled  int
	seen     []Seen
	conns    []net.Conn
}

// Upstream starts a Recorder.
func Upstream(t testing.TB) *Recorder {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Recorder{Addr: l.Addr().String(), listener: l, proceed: make(chan struct{}), done: make(chan struct{})}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.dialled++
			r.conns = append(r.conns, conn)
			r.mu.Unlock()
			serving.Go(func() { r.serve(conn) })
		}
	})
	t.Cleanup(func() {
		close(r.done)
		_ = l.Close()
		r.mu.Lock()
		for _, conn := range r.conns {
			_ = conn.Close()
		}
		r.mu.Unlock()
		serving.Wait()
	})
	return r
}

// Requests is what has come so far.
func (r *Recorder) Requests() []Seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Seen(nil), r.seen...)
}

// Dialled counts the connections that were ever opened to it.
func (r *Recorder) Dialled() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dialled
}

// Proceed lets a stream of events go on to its second event and its end.
func (r *Recorder) Proceed(t testing.TB) {
	t.Helper()
	select {
	case r.proceed <- struct{}{}:
	case <-time.After(patience):
		t.Fatal("no stream of events is waiting")
	}
}

func (r *Recorder) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	buf := bufio.NewReader(conn)
	for r.one(conn, buf) == nil {
	}
}

// one reads and answers one request; an error ends the connection.
func (r *Recorder) one(conn net.Conn, buf *bufio.Reader) error {
	head, err := readHead(buf)
	if err != nil {
		return err
	}
	// The head comes to its end before anything else is taken from buf, so what follows an
	// upgrade is still there for echo.
	req, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(head), buf)))
	if err != nil {
		return err
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	seen := parseHead(head)
	seen.Body = body
	r.mu.Lock()
	r.seen = append(r.seen, seen)
	r.mu.Unlock()
	switch {
	case strings.EqualFold(req.Header.Get("Upgrade"), "websocket"):
		return echo(conn, buf, req.Header.Get("Sec-WebSocket-Key"))
	case strings.HasSuffix(req.URL.Path, "/events"):
		return r.events(conn)
	case strings.HasSuffix(req.URL.Path, "/ratelimit"):
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nRateLimit: \"app\";r=7;t=7\r\nRateLimit-Policy: \"app\";q=7;w=7\r\nContent-Length: 0\r\n\r\n")
		return err
	case len(body) > 0:
		return answer(conn, "200 OK", "application/octet-stream", body, true)
	}
	text, err := json.Marshal(seen)
	if err != nil {
		return err
	}
	return answer(conn, "200 OK", "application/json", text, req.Method != http.MethodHead)
}

// readHead reads up to the empty line and with it.
func readHead(buf *bufio.Reader) ([]byte, error) {
	var head []byte
	for {
		line, err := buf.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		head = append(head, line...)
		if len(bytes.Trim(line, "\r\n")) == 0 {
			return head, nil
		}
	}
}

func parseHead(head []byte) Seen {
	lines := strings.Split(strings.TrimRight(string(head), "\r\n"), "\r\n")
	s := Seen{Line: lines[0]}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		s.Fields = append(s.Fields, [2]string{name, strings.TrimSpace(value)})
	}
	return s
}

func answer(w io.Writer, status, kind string, body []byte, send bool) error {
	_, err := fmt.Fprintf(w, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", status, kind, len(body))
	if err == nil && send {
		_, err = w.Write(body)
	}
	return err
}

func (r *Recorder) events(w io.Writer) error {
	chunk := func(event string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(event), event) }
	head := "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	if _, err := io.WriteString(w, head+chunk("data: first\n\n")); err != nil {
		return err
	}
	select {
	case <-r.proceed:
	case <-r.done:
	}
	_, err := io.WriteString(w, chunk("data: second\n\n")+"0\r\n\r\n")
	return err
}

// echo accepts a WebSocket (RFC 6455 §4.2.2) and sends back every byte. It knows nothing
// of frames; whatever a test writes comes back.
func echo(conn net.Conn, buf *bufio.Reader, key string) error {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
	_, err := fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	if err == nil {
		_, err = io.Copy(conn, buf)
	}
	return err
}
