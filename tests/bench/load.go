package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// load sends prepared requests over keep-alive connections, each the next one as soon as
// its answer is in. It never sleeps: it goes round all connections and looks. A client
// that sleeps has to be woken, and waking it up costs the server more than a decision, the
// more the slower the server is; then it is the client that is measured.
type load struct {
	connections int
	least       int // answers before it may end
	request     func(i int) []byte
}

// result is one round.
type result struct {
	count     int
	perSecond float64
	p50, p99  time.Duration
}

// connection is one socket and the request that is under way on it.
type connection struct {
	fd    int
	sent  time.Time
	ended bool
	buf   [1024]byte
	n     int
}

func (l load) run(ctx context.Context, address string, took time.Duration) (result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	conns := make([]*connection, 0, l.connections)
	defer func() {
		for _, c := range conns {
			_ = syscall.Close(c.fd)
		}
	}()
	samples := make([]time.Duration, 0, 1<<20)
	next := 0
	send := func(c *connection) error {
		next++
		return c.send(l.request(next))
	}
	start := time.Now()
	for range l.connections {
		fd, err := dial(address)
		if err != nil {
			return result{}, err
		}
		conns = append(conns, &connection{fd: fd})
		if err := send(conns[len(conns)-1]); err != nil {
			return result{}, err
		}
	}
	for under := len(conns); under > 0; {
		over := time.Since(start) > took && len(samples) >= l.least || ctx.Err() != nil
		for _, c := range conns {
			done, err := c.receive()
			switch {
			case err != nil:
				return result{}, err
			case !done:
				continue
			}
			samples = append(samples, time.Since(c.sent))
			if over {
				c.ended, under = true, under-1
			} else if err := send(c); err != nil {
				return result{}, err
			}
		}
	}
	return summarise(samples, time.Since(start)), ctx.Err()
}

func summarise(samples []time.Duration, took time.Duration) result {
	slices.Sort(samples)
	return result{
		count:     len(samples),
		perSecond: float64(len(samples)) / took.Seconds(),
		p50:       samples[len(samples)/2],
		p99:       samples[len(samples)*99/100],
	}
}

func dial(address string) (fd int, err error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return 0, err
	}
	if fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0); err != nil {
		return 0, err
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		return 0, err
	}
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
		return 0, err
	}
	return fd, syscall.SetNonblock(fd, true)
}

func (c *connection) send(request []byte) error {
	c.sent, c.n = time.Now(), 0
	n, err := syscall.Write(c.fd, request)
	if err == nil && n != len(request) {
		err = errors.New("a request did not fit into the socket")
	}
	return err
}

// receive reads what there is; done tells that the answer is whole. It must be 200 without
// a body.
func (c *connection) receive() (done bool, err error) {
	if c.ended {
		return false, nil
	}
	n, err := syscall.Read(c.fd, c.buf[c.n:])
	if errors.Is(err, syscall.EAGAIN) {
		return false, nil
	}
	if err != nil || n == 0 {
		return false, fmt.Errorf("the server ended the connection: %w", err)
	}
	c.n += n
	if allowed := "HTTP/1.1 200 OK\r\n"; c.n >= len(allowed) && string(c.buf[:len(allowed)]) != allowed {
		return false, fmt.Errorf("not allowed: %s", c.buf[:c.n])
	}
	return bytes.HasSuffix(c.buf[:c.n], []byte("\r\n\r\n")), nil
}
