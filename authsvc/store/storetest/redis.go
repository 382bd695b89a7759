package storetest

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Redis is a redis-server of a test's own. It keeps nothing on disk: what it knew is gone
// with it.
type Redis struct {
	URL  string // redis://127.0.0.1:<port>
	Addr string

	args []string
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process has ended
	log  bytes.Buffer  // what it wrote; to be read when it is gone
}

// StartRedis starts redis-server on a free port of the loopback, with further arguments if
// need be, and ends it with the test. Without redis-server on PATH the test is skipped,
// or fails when CI=true.
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("redis-server is not on PATH")
		}
		t.Skip("redis-server is not on PATH")
	}
	for range 5 {
		r := &Redis{Addr: freeAddr(t), args: args}
		r.URL = "redis://" + r.Addr
		if r.start(t) {
			t.Cleanup(r.Kill)
			return r
		}
		t.Logf("redis-server ended, perhaps its port was taken: %s", r.log.String())
	}
	t.Fatal("redis-server does not start")
	return nil
}

// Kill ends the server with SIGKILL, and returns when it is gone.
func (r *Redis) Kill() {
	_ = r.cmd.Process.Kill() // fails when it has ended already
	<-r.gone
}

// Restart starts it again on the same port after Kill.
func (r *Redis) Restart(t testing.TB) {
	t.Helper()
	if !r.start(t) {
		t.Fatalf("redis-server does not start again: %s", r.log.String())
	}
}

// start answers false when the process ends before it answers.
func (r *Redis) start(t testing.TB) bool {
	t.Helper()
	_, port, _ := net.SplitHostPort(r.Addr)
	dir := t.TempDir()
	args := []string{
		"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", dir, "--cluster-config-file", filepath.Join(dir, "nodes.conf"),
	}
	r.log.Reset()
	r.cmd = exec.Command("redis-server", append(args, r.args...)...) //nolint:noctx // it ends with Kill
	r.cmd.Stdout, r.cmd.Stderr = &r.log, &r.log
	if err := r.cmd.Start(); err != nil {
		t.Fatalf("start redis-server: %v", err)
	}
	gone := make(chan struct{})
	r.gone = gone
	go func() {
		defer close(gone)
		_ = r.cmd.Wait()
	}()
	up := false
	Eventually(t, "redis-server answers", func() bool {
		select {
		case <-gone:
			return true
		default:
			up = r.answers()
			return up
		}
	})
	return up
}

func (r *Redis) answers() bool {
	conn, err := net.DialTimeout("tcp", r.Addr, time.Second) //nolint:noctx // bounded
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write([]byte("PING\r\n"))
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return line == "+PONG\r\n" || strings.HasPrefix(line, "-NOAUTH") // it wants a password, and is up
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
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
