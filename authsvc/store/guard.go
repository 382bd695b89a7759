package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// guard keeps commands from queueing on a server that does not answer: after a failure it
// refuses them at once, and asks by itself until the server answers again, so that no
// request is the one that tries. It stands before a single server, and each node of a
// cluster has its own: what the others hold goes on.
type guard struct {
	probe   func(context.Context) error // asks whether the server answers
	probes  *probes
	failure atomic.Pointer[error] // why commands are refused; nil while they are not

	mu      sync.Mutex
	probing bool
}

// errRefused: a command was not sent, since the server failed a moment ago.
var errRefused = errors.New("the store failed a moment ago")

const (
	firstProbe = time.Millisecond // a connection may be lost where the server is not
	lastProbe  = 250 * time.Millisecond
)

// newGuard guards a client from here on. It ends with the probes.
func newGuard(c *redis.Client, p *probes) {
	c.AddHook(&guard{probe: func(ctx context.Context) error { return c.Ping(context.WithValue(ctx, unguarded{}, true)).Err() }, probes: p})
}

// unguarded marks the commands of the guard itself.
type unguarded struct{}

// DialHook does nothing.
func (g *guard) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook guards a command, with its repetitions.
func (g *guard) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if ctx.Value(unguarded{}) != nil {
			return next(ctx, cmd)
		}
		if err := g.refuses(); err != nil {
			cmd.SetErr(err)
			return err
		}
		err := next(ctx, cmd)
		g.note(err)
		return err
	}
}

// ProcessPipelineHook guards the commands of a pipeline.
func (g *guard) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := g.refuses(); err != nil {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
			return err
		}
		err := next(ctx, cmds)
		g.note(err)
		return err
	}
}

func (g *guard) refuses() error {
	if failure := g.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}

// note begins to refuse when a server did not answer. A connection that was lost is no proof
// of that, since the next command makes another: then a probe decides.
func (g *guard) note(err error) {
	if !isOutage(err) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !isLost(err) {
		g.refuse(err)
	}
	if !g.probing {
		g.probing = g.probes.start(g.recover)
	}
}

// refuse holds the text of the cause alone: go-redis would try again what is a network error.
func (g *guard) refuse(cause error) {
	failure := fmt.Errorf("%w: %v", errRefused, cause) //nolint:errorlint // see above
	g.failure.Store(&failure)
}

// recover asks until the server answers, or the store is closed.
func (g *guard) recover(ctx context.Context) {
	for pause := firstProbe; ; pause = min(4*pause, lastProbe) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		err := g.probe(ctx)
		if !isOutage(err) {
			break
		}
		g.refuse(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.probing = false
	g.failure.Store(nil)
}

// isOutage tells whether a server did not answer. One that answered with an error did, and
// whoever does not wait for the answer says nothing about it.
func isOutage(err error) bool {
	var answer redis.Error
	return err != nil && !errors.As(err, &answer) && !errors.Is(err, context.Canceled) && !errors.Is(err, redis.ErrClosed) &&
		!errors.Is(err, errRefused)
}

// isLost tells whether an outage is one of a connection, and perhaps of no more.
func isLost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// probes are what guards run in the background.
type probes struct {
	ctx    context.Context //nolint:containedctx // it ends with stop
	cancel context.CancelFunc

	mu      sync.Mutex
	stopped bool
	running sync.WaitGroup
}

func newProbes() *probes {
	p := &probes{}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// start answers false after stop.
func (p *probes) start(probe func(context.Context)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	p.running.Go(func() { probe(p.ctx) })
	return true
}

// stop ends all, and returns when they have ended.
func (p *probes) stop() {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.cancel()
	p.running.Wait()
}
