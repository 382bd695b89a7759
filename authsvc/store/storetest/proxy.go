package storetest

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is a way to a server on which things go wrong as a test wants it.
type Proxy struct {
	URL  string // redis://127.0.0.1:<port>
	Addr string

	t        testing.TB
	to       string
	carriers sync.WaitGroup

	mu     sync.Mutex
	in     net.Listener // nil when it is cut
	links  map[*link]bool
	delay  time.Duration
	half   bool
	frozen chan struct{} // closed when it is not frozen
}

// link is a connection through a proxy.
type link struct {
	client, server net.Conn
	gone           chan struct{} // closed with both
	end            sync.Once
}

func (l *link) close() {
	l.end.Do(func() {
		close(l.gone)
		_ = l.client.Close()
		_ = l.server.Close()
	})
}

// StartProxy starts one before a server's address, and ends it with the test.
func StartProxy(t testing.TB, addr string) *Proxy {
	t.Helper()
	p := &Proxy{t: t, to: addr, Addr: freeAddr(t), links: map[*link]bool{}, frozen: make(chan struct{})}
	p.URL = "redis://" + p.Addr
	close(p.frozen)
	t.Cleanup(func() {
		p.Cut()
		p.carriers.Wait()
	})
	p.Mend()
	return p
}

// Delay makes each reply arrive so much later from now on: each piece that the server sends.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// HalfReplies makes each reply from now on end in its middle, and its connection with it.
func (p *Proxy) HalfReplies(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.half = on
}

// Freeze lets nothing through, in either direction. Connections stand, and new ones are
// taken.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.frozen:
		p.frozen = make(chan struct{})
	default:
	}
}

// Thaw lets everything through again, what has come in the meantime first.
func (p *Proxy) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.frozen:
	default:
		close(p.frozen)
	}
}

// Cut ends all connections, and lets new ones be refused.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.in != nil {
		_ = p.in.Close()
		p.in = nil
	}
	for l := range p.links {
		l.close()
	}
}

// Mend takes connections again after Cut.
func (p *Proxy) Mend() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.in != nil {
		return
	}
	var in net.Listener
	Eventually(p.t, "the proxy's port is free", func() (ok bool) {
		var err error
		in, err = net.Listen("tcp", p.Addr)
		return err == nil
	})
	p.in = in
	p.carriers.Go(func() {
		for {
			conn, err := in.Accept()
			if err != nil {
				return
			}
			p.carriers.Go(func() { p.carry(in, conn) })
		}
	})
}

func (p *Proxy) carry(in net.Listener, client net.Conn) {
	server, err := net.Dial("tcp", p.to) //nolint:noctx // on the loopback it is answered at once
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{client: client, server: server, gone: make(chan struct{})}
	defer l.close()
	p.mu.Lock()
	if p.in != in { // it was cut meanwhile
		p.mu.Unlock()
		return
	}
	p.links[l] = true
	p.mu.Unlock()
	var asks sync.WaitGroup
	asks.Go(func() {
		defer l.close()
		p.copy(l, server, client, func(piece []byte) ([]byte, bool) { return piece, true })
	})
	p.copy(l, client, server, func(piece []byte) ([]byte, bool) { return p.reply(l, piece) })
	l.close()
	asks.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// copy goes on until either end is closed, or change says that a piece is the last.
func (p *Proxy) copy(l *link, to io.Writer, from io.Reader, change func([]byte) ([]byte, bool)) {
	var room [64 << 10]byte
	for {
		n, err := from.Read(room[:])
		if err != nil {
			return
		}
		piece, more := change(room[:n])
		p.mu.Lock()
		frozen := p.frozen
		p.mu.Unlock()
		select {
		case <-frozen:
		case <-l.gone:
			return
		}
		if _, err := to.Write(piece); err != nil || !more {
			return
		}
	}
}

// reply does to a piece that the server sends what is wanted, and answers false when it is
// to be the last.
func (p *Proxy) reply(l *link, piece []byte) ([]byte, bool) {
	p.mu.Lock()
	delay, half := p.delay, p.half
	p.mu.Unlock()
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.gone:
		}
	}
	if half {
		return piece[:len(piece)/2], false
	}
	return piece, true
}
