// Package servers starts the real programs that tests talk to: stile itself, the edges in
// front of it, Redis, and an upstream that remembers what reached it. Whatever is started
// ends with the test, and its log is shown when the test failed.
package servers

import (
	"bytes"
	"context"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a program may take for anything before a test gives up.
const patience = 20 * time.Second

// Process is a program that a test has started.
type Process struct {
	Addr string // the address that clients talk to, host:port

	name   string
	cmd    *exec.Cmd
	log    output
	ended  chan struct{} // closed when the program has ended
	ending sync.Once
}

// start runs a program and waits until ready says nil.
func start(t testing.TB, name string, cmd *exec.Cmd, ready func() error) *Process {
	t.Helper()
	p := &Process{name: name, cmd: cmd, ended: make(chan struct{})}
	p.run(t, ready)
	return p
}

func (p *Process) run(t testing.TB, ready func() error) {
	t.Helper()
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	// A group of its own, so that what the program starts can be ended with it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", p.name, p.log.String())
		}
	})
	Until(t, p.name+" is ready", func() error {
		select {
		case <-p.ended:
			t.Fatalf("%s ended by itself", p.name)
		default:
		}
		return ready()
	})
}

// command is exec.Command. A program here does not end with the test's context, which is
// over before Cleanup could end the program in good order.
func command(program string, args ...string) *exec.Cmd {
	return exec.CommandContext(context.Background(), program, args...)
}

// Stop asks the program to end, insists when it does not, and returns when it is gone.
func (p *Process) Stop() {
	p.ending.Do(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(5 * time.Second):
		}
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // whatever is left of the group
		<-p.ended
	})
}

// Log is what the program has printed so far.
func (p *Process) Log() string { return p.log.String() }

// output gathers what a program prints while others read it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Until tries again and again until try says nil, and gives the test up with its last
// error when that takes too long.
func Until(t testing.TB, what string, try func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited %s until %s: %v", patience, what, err)
		}
	}
}

func dial(addr string, patience time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
}

// listens says nil once somebody accepts connections.
func listens(addr string) func() error {
	return func() error {
		conn, err := dial(addr, time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}
