package storetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis is a redis-server, or a Sentinel, of a test's own. It keeps nothing: what it knew is
// gone with it, unless it was started with "--appendonly", "yes".
type Redis struct {
	URL  string // redis://127.0.0.1:<port>, or as its arguments make it: see TLS and ACL
	Addr string

	access
	dir   string // stays the same across Restart
	line  func(r *Redis, port string) []string
	argv  []string
	cmd   *exec.Cmd
	gone  chan struct{} // closed when the process has ended
	log   bytes.Buffer  // what it wrote; to be read when it is gone
	admin *redis.Client
}

// StartRedis starts redis-server on a free port of the loopback, with further arguments if
// need be, and ends it with the test. Without redis-server on PATH the test is skipped,
// or fails when CI=true.
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	return startServers(t, 1, args, serverLine(args))[0]
}

// startServers starts several at the same time.
func startServers(t testing.TB, n int, args []string, line func(*Redis, string) []string) []*Redis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("redis-server is not on PATH")
		}
		t.Skip("redis-server is not on PATH")
	}
	all := make([]*Redis, n)
	for i := range all {
		all[i] = &Redis{dir: t.TempDir(), line: line, access: accessOf(t, args)}
		all[i].settle(t)
		t.Cleanup(all[i].Kill)
	}
	for _, r := range all {
		for tries := 1; !r.up(t); tries++ {
			t.Logf("redis-server ended, perhaps its port was taken: %s", r.log.String())
			if tries == 5 {
				t.Fatal("redis-server does not start")
			}
			r.settle(t)
		}
		r.admin = redis.NewClient(r.adminOptions(r.Addr))
		t.Cleanup(func() { _ = r.admin.Close() })
	}
	return all
}

// serverLine are the arguments of a redis-server.
func serverLine(args []string) func(*Redis, string) []string {
	return func(r *Redis, port string) []string {
		ports := []string{"--port", port}
		if r.tls != nil {
			ports = []string{"--port", "0", "--tls-port", port}
		}
		return append(append(ports,
			"--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
			"--dir", r.dir, "--cluster-config-file", filepath.Join(r.dir, "nodes.conf"),
			"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1", "--rdb-del-sync-files", "yes"), args...)
	}
}

// settle starts it on a port that is free now.
func (r *Redis) settle(t testing.TB) {
	t.Helper()
	r.Addr = freeAddr(t)
	_, port, _ := net.SplitHostPort(r.Addr)
	r.URL = r.urlOf("redis", r.Addr, "")
	r.argv = r.line(r, port)
	r.launch(t)
}

func (r *Redis) launch(t testing.TB) {
	t.Helper()
	r.log.Reset()
	cmd := exec.Command("redis-server", r.argv...) //nolint:noctx // it ends with Kill
	cmd.Stdout, cmd.Stderr = &r.log, &r.log
	endWithTest(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start redis-server: %v", err)
	}
	gone := make(chan struct{})
	r.cmd, r.gone = cmd, gone
	go func() {
		defer close(gone)
		_ = cmd.Wait()
	}()
}

// up waits until it answers, and answers false when the process ends before that.
func (r *Redis) up(t testing.TB) (up bool) {
	t.Helper()
	Eventually(t, "redis-server answers", func() bool {
		select {
		case <-r.gone:
			return true
		default:
			up = r.answers()
			return up
		}
	})
	return up
}

// Admin is a client who may do everything there. It is closed with the test.
func (r *Redis) Admin() *redis.Client { return r.admin }

// Kill ends the server with SIGKILL, frozen or not, and returns when it is gone.
func (r *Redis) Kill() {
	_ = r.cmd.Process.Kill() // fails when it has ended already
	<-r.gone
}

// Restart starts it again on the same port and in the same folder after Kill.
func (r *Redis) Restart(t testing.TB) {
	t.Helper()
	r.launch(t)
	if !r.up(t) {
		t.Fatalf("redis-server does not start again: %s", r.log.String())
	}
}

// Ports are chosen outside of the range that connections take theirs from, so that a server
// finds its own one free again, and the port of a cluster's bus, 10,000 higher, free too.
const (
	firstPort = 10_000
	ports     = 12_000
	busAbove  = 10_000
)

func freeAddr(t testing.TB) string {
	t.Helper()
	for range 1000 {
		port := firstPort + rand.IntN(ports)
		if free(port) && free(port+busAbove) {
			return "127.0.0.1:" + strconv.Itoa(port)
		}
	}
	t.Fatal("no port is free")
	return ""
}

func free(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// Eventually polls until what it waits for is so, and fails the test after half a minute.
func Eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(30 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		<-tick.C
	}
}
