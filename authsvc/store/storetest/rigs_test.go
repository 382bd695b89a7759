package storetest

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// proxied is a client of a server behind a proxy.
func proxied(t *testing.T) (*Proxy, *redis.Client) {
	t.Helper()
	p := StartProxy(t, StartRedis(t).Addr)
	db := redis.NewClient(&redis.Options{
		Addr: p.Addr, MaxRetries: -1, DialerRetries: 1, Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Set(t.Context(), "x", "12345", 0).Err(); err != nil {
		t.Fatal(err)
	}
	return p, db
}

func TestProxyDelays(t *testing.T) {
	p, db := proxied(t)
	p.Delay(50 * time.Millisecond)
	start := time.Now()
	if err := db.Get(t.Context(), "x").Err(); err != nil || time.Since(start) < 50*time.Millisecond {
		t.Errorf("answered after %v: %v", time.Since(start), err)
	}
}

func TestProxyFreezes(t *testing.T) {
	p, db := proxied(t)
	p.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := db.Get(ctx, "x").Err(); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, errTimeout(err)) {
		t.Errorf("frozen: %v", err)
	}
	conn, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatalf("a new connection: %v", err)
	}
	_ = conn.Close()
	p.Thaw()
	if err := db.Get(t.Context(), "x").Err(); err != nil {
		t.Errorf("thawed: %v", err)
	}
}

// errTimeout is err itself if it is a timeout.
func errTimeout(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}
	return nil
}

func TestProxyCuts(t *testing.T) {
	p, db := proxied(t)
	conn, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, len("+PONG\r\n"))); err != nil {
		t.Fatal(err)
	}
	p.Freeze()
	p.Cut()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a connection stands")
	}
	if _, err := net.Dial("tcp", p.Addr); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a new connection: %v", err)
	}
	if err := db.Get(t.Context(), "x").Err(); err == nil {
		t.Error("answered")
	}
	p.Thaw()
	p.Mend()
	if err := db.Get(t.Context(), "x").Err(); err != nil {
		t.Errorf("mended: %v", err)
	}
}

func TestProxyCutsReplies(t *testing.T) {
	p, db := proxied(t)
	p.HalfReplies(true)
	if err := db.Get(t.Context(), "x").Err(); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Errorf("half a reply: %v", err)
	}
	p.HalfReplies(false)
	if err := db.Get(t.Context(), "x").Err(); err != nil {
		t.Errorf("whole ones: %v", err)
	}
}

// What a server knew is gone with it, unless it appends to a file.
func TestRestart(t *testing.T) {
	for appends, want := range map[string]string{"no": "", "yes": "1"} {
		server := StartRedis(t, "--appendonly", appends)
		server.do(t, "set", "x", "1")
		server.Freeze()
		server.Kill()
		server.Restart(t)
		if got := server.Admin().Get(t.Context(), "x").Val(); got != want {
			t.Errorf("--appendonly %s: after Restart %q", appends, got)
		}
	}
}

func TestFreeze(t *testing.T) {
	server := StartRedis(t)
	server.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := server.Admin().Ping(ctx).Err(); err == nil {
		t.Error("it answers")
	}
	server.Thaw()
	if err := server.Admin().Ping(t.Context()).Err(); err != nil {
		t.Errorf("thawed: %v", err)
	}
}

// A server with TLS takes nobody without a certificate.
func TestTLSWantsCertificate(t *testing.T) {
	server := StartTLS(t)
	o := server.adminOptions(server.Addr)
	bare := o.TLSConfig.Clone()
	bare.Certificates = nil
	for what, db := range map[string]*redis.Client{
		"no certificate": redis.NewClient(&redis.Options{Addr: server.Addr, TLSConfig: bare, DialerRetries: 1, MaxRetries: -1}),
		"no TLS":         redis.NewClient(&redis.Options{Addr: server.Addr, DialerRetries: 1, MaxRetries: -1}),
	} {
		if err := db.Ping(t.Context()).Err(); err == nil {
			t.Errorf("%s: it answers", what)
		}
		_ = db.Close()
	}
}

// The rigs of several servers survive what they are made for.
func TestClusterFailsOver(t *testing.T) {
	c := StartCluster(t, 3, 1)
	first := c.MasterOf(t, "x")
	first.Kill()
	second := c.MasterOf(t, "x")
	first.Restart(t)
	c.WaitWhole(t)
	second.Freeze()
	if again := c.MasterOf(t, "x"); again != first {
		t.Errorf("the master is %s, not %s", again.Addr, first.Addr)
	}
	second.Thaw()
	c.WaitWhole(t)
}

func TestSentinelFailsOver(t *testing.T) {
	s := StartSentinel(t)
	first := s.Master(t)
	if second := s.Failover(t); second == first {
		t.Error("the dead one is the master")
	}
	first.Restart(t)
	s.WaitWhole(t)
	if again := s.Failover(t); again != first {
		t.Errorf("the master is %s, not %s", again.Addr, first.Addr)
	}
}
