package store_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// silent takes connections and says nothing, until it is told to pass on to a real server.
type silent struct {
	net.Listener
	asked atomic.Int64 // connections on which something was asked
}

func newSilent(t *testing.T) *silent {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &silent{Listener: l}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer func() { _ = conn.Close() }()
				s.asked.Add(1)
				_, _ = io.Copy(io.Discard, conn)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); conns.Wait() })
	return s
}

// A server that does not answer keeps those waiting who ask before that is known, and nobody
// after them; and it is asked little.
func TestGuardOfASilentServer(t *testing.T) {
	server := newSilent(t)
	r, err := store.OpenRedis("redis://" + server.Addr().String() + "?read_timeout=100ms")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if _, err := r.Credential(t.Context(), storetest.Hash("k1")); err == nil {
		t.Fatal("a silent server has answered")
	}
	before := server.asked.Load()
	start := time.Now()
	for range 10_000 {
		if _, err := r.Credential(t.Context(), storetest.Hash("k1")); !store.IsRefused(err) {
			t.Fatalf("error is %v", err)
		}
	}
	took := time.Since(start)
	if took > time.Second {
		t.Errorf("10,000 look-ups took %v", took)
	}
	// One probe, with its repetition, in each timeout and pause.
	if asked, most := server.asked.Load()-before, 4+2*int64(took/(100*time.Millisecond)); asked > most {
		t.Errorf("in %v it was asked %d times, more than %d", took, asked, most)
	}
}

// Whoever waits when a server falls silent waits for its timeout and one repetition.
func TestGuardBoundsTheWait(t *testing.T) {
	server := storetest.StartRedis(t)
	r := openRedis(t, server)
	seed(t, r)
	server.Freeze()
	var waiting sync.WaitGroup
	start := time.Now()
	for i := range 300 {
		waiting.Go(func() {
			if _, err := r.Credential(t.Context(), storetest.Hash(fmt.Sprint("none", i))); err == nil {
				t.Error("a frozen server has answered")
			}
		})
	}
	waiting.Wait()
	if took := time.Since(start); took > 1500*time.Millisecond {
		t.Errorf("300 look-ups took %v", took)
	}
	server.Thaw()
	start = time.Now()
	storetest.Eventually(t, "it answers again", func() bool {
		_, err := r.Credential(t.Context(), storetest.Hash("k1"))
		return err == nil
	})
	if took := time.Since(start); took > time.Second {
		t.Errorf("that took %v", took)
	}
}

// A connection that the server ended is no outage that anybody notices.
func TestGuardOfALostConnection(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	seed(t, r)
	for range 20 {
		if _, err := r.Credential(t.Context(), storetest.Hash("k1")); err != nil {
			t.Fatal(err)
		}
		r.Client().Do(t.Context(), "client", "kill", "type", "normal", "skipme", "yes")
	}
}

// A store that was closed says so, and does not ask any more.
func TestGuardIsClosed(t *testing.T) {
	server := storetest.StartRedis(t)
	r := openRedis(t, server)
	server.Kill()
	if err := r.Ping(t.Context()); err == nil {
		t.Fatal("a dead server has answered")
	}
	if err := r.Close(); err != nil { // goleak sees a probe that goes on
		t.Fatal(err)
	}
	if err := r.Ping(t.Context()); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("closed: %v", err)
	}
}
