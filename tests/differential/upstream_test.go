package differential

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const patience = 10 * time.Second

// reached is a request as the upstream got it, byte by byte.
type reached struct {
	method, target, host string
	fields               []string
}

// upstream answers whatever it gets with 200: it must not refuse, for then nobody would see
// what got as far as here. It knows requests by their X-Case.
type upstream struct {
	addr string
	mu   sync.Mutex
	seen map[string][]reached
}

func listening(t *testing.T) *upstream {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &upstream{addr: ln.Addr().String(), seen: map[string][]reached{}}
	var serving sync.WaitGroup
	var conns sync.Map
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Store(conn, nil)
			serving.Go(func() {
				u.serve(conn)
				conns.Delete(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		conns.Range(func(conn, _ any) bool { _ = conn.(net.Conn).Close(); return true })
		serving.Wait()
	})
	return u
}

func (u *upstream) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReaderSize(conn, 64<<10)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		method, rest, _ := strings.Cut(line, " ")
		got, id := reached{method: method, target: rest[:max(0, strings.LastIndexByte(rest, ' '))]}, "none"
		for {
			field, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if field = strings.TrimRight(field, "\r\n"); field == "" {
				break
			}
			got.fields = append(got.fields, field)
			name, value, _ := strings.Cut(field, ":")
			switch strings.ToLower(name) {
			case "host":
				got.host = strings.TrimSpace(value)
			case "x-case":
				id = strings.TrimSpace(value)
			}
		}
		u.mu.Lock()
		u.seen[id] = append(u.seen[id], got)
		u.mu.Unlock()
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return
		}
	}
}

// of is what came under an id.
func (u *upstream) of(id string) []reached {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.seen[id]
}

// send sends bytes as they are and returns the status of the answer; 0 when there is none,
// for an edge may hang up on what it does not take for HTTP.
func send(addr, raw string) (status int, err error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		return 0, nil // it hung up before it had read all
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, nil // no answer is an answer
	}
	_ = resp.Body.Close()
	return resp.StatusCode, nil
}

// request is a GET of a raw target.
func request(target, id string, fields ...string) string {
	return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: app.test\r\nX-Case: %s\r\nX-Request-Id: %s\r\nConnection: close\r\n%s\r\n", target, id, id, strings.Join(append(fields, ""), "\r\n"))
}
