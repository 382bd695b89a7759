package store_test

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// wire is the way to a server, which can be cut, and can be jammed: then connections stand,
// and nothing arrives.
type wire struct {
	to string
	in net.Listener

	mu    sync.Mutex
	conns map[net.Conn]bool
	cut   bool
	jam   chan struct{} // closed while nothing is in the way
}

func newWire(t testing.TB, server *storetest.Redis) *wire {
	t.Helper()
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{to: server.Addr, in: in, conns: map[net.Conn]bool{}, jam: make(chan struct{})}
	close(w.jam)
	var carriers sync.WaitGroup
	carriers.Go(func() {
		for {
			conn, err := in.Accept()
			if err != nil {
				return
			}
			carriers.Go(func() { w.carry(conn) })
		}
	})
	t.Cleanup(func() {
		_ = in.Close()
		w.setJam(false)
		w.setCut(true)
		carriers.Wait()
	})
	return w
}

// open makes a store that reaches the server over the wire alone.
func (w *wire) open(t testing.TB) *store.Redis {
	t.Helper()
	r, err := store.OpenRedis("redis://" + w.in.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// setCut ends all connections, and new ones at once, or no longer does.
func (w *wire) setCut(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if cut {
		for conn := range w.conns {
			_ = conn.Close()
		}
	}
}

func (w *wire) setJam(jam bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.jam:
		if jam {
			w.jam = make(chan struct{})
		}
	default:
		if !jam {
			close(w.jam)
		}
	}
}

// track is to be asked before a connection is used: false when the wire is cut.
func (w *wire) track(conn net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns[conn] = true
	return !w.cut
}

func (w *wire) untrack(conn net.Conn) {
	_ = conn.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, conn)
}

func (w *wire) carry(client net.Conn) {
	defer w.untrack(client)
	if !w.track(client) {
		return
	}
	server, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer w.untrack(server)
	if !w.track(server) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { w.copy(client, server) })
	w.copy(server, client)
	back.Wait()
}

// copy goes on until either end is closed, and closes the other.
func (w *wire) copy(to io.WriteCloser, from io.Reader) {
	defer func() { _ = to.Close() }()
	var room [4096]byte
	for {
		n, err := from.Read(room[:])
		if err != nil {
			return
		}
		w.mu.Lock()
		jam := w.jam
		w.mu.Unlock()
		<-jam
		if _, err := to.Write(room[:n]); err != nil {
			return
		}
	}
}
