package servers

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Response is a whole answer.
type Response struct {
	Status int
	Header http.Header
	Body   string
}

// Send writes bytes on a socket as they are, and reads the answer to its end.
func Send(t testing.TB, addr, raw string) *Response {
	t.Helper()
	x := Begin(t, addr, raw)
	defer x.Close()
	body, err := io.ReadAll(x)
	if err != nil {
		t.Fatalf("body of the answer to %s: %v", firstLine(raw), err)
	}
	return &Response{x.Status, x.Header, string(body)}
}

// Exchange is an answer of which only the head has been read. Read and Write go on: of a
// 101, the connection is the client's; of any other answer, Read gives the body.
type Exchange struct {
	Status int
	Header http.Header
	io.Reader
	conn net.Conn
}

func (x *Exchange) Write(b []byte) (int, error) { return x.conn.Write(b) }

// Close closes the connection.
func (x *Exchange) Close() { _ = x.conn.Close() }

// Begin writes bytes on a socket as they are, and reads the head of the answer. Whatever
// happens on the connection has to happen before a test's patience ends.
func Begin(t testing.TB, addr, raw string) *Exchange {
	t.Helper()
	conn, err := dial(addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	// Beside the reading: a server may answer before it has read it all, and then close.
	go func() { _, _ = io.WriteString(conn, raw) }()
	method, _, _ := strings.Cut(raw, " ")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, &http.Request{Method: method}) //nolint:bodyclose // it ends with the connection
	if err != nil {
		_ = conn.Close()
		t.Fatalf("answer to %s: %v", firstLine(raw), err)
	}
	x := &Exchange{Status: resp.StatusCode, Header: resp.Header, Reader: resp.Body, conn: conn}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		x.Reader = r
	}
	return x
}

func firstLine(raw string) string {
	line, _, _ := strings.Cut(raw, "\r\n")
	return line
}
