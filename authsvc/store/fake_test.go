package store_test

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
)

// clock stands until it is moved.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 11, 23, 3, 33, 0, 0, time.UTC).Add(time.Duration(c.ahead.Load()))
}

func (c *clock) move(d time.Duration) { c.ahead.Add(int64(d)) }

// source is a store that can fail, and that can be made to wait.
type source struct {
	*store.Memory

	mu      sync.Mutex
	failure error
	gate    chan struct{} // when it is set, questions wait until it is closed
	asked   []string      // what it was asked for
}

func newSource() *source { return &source{Memory: store.NewMemory()} }

func (s *source) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = err
}

// hold makes questions wait until the function that it returns is called.
func (s *source) hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.gate = gate
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.gate = nil
		close(gate)
	}
}

func (s *source) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

func (s *source) ask(ctx context.Context, what string) error {
	s.mu.Lock()
	s.asked = append(s.asked, what)
	gate, failure := s.gate, s.failure
	s.mu.Unlock()
	if gate == nil {
		return failure
	}
	select {
	case <-gate:
		return failure
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Credential knows the answer before it waits, as a server whose answer is slow to arrive.
func (s *source) Credential(ctx context.Context, hash string) (*store.Credential, error) {
	found, _ := s.Memory.Credential(ctx, hash)
	if err := s.ask(ctx, hash); err != nil {
		return nil, err
	}
	return found, nil
}

func (s *source) Consumer(ctx context.Context, id string) (*store.Consumer, error) {
	found, _ := s.Memory.Consumer(ctx, id)
	if err := s.ask(ctx, id); err != nil {
		return nil, err
	}
	return found, nil
}

// counter counts what a cache reports.
type counter struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *counter) count(cache, result string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[cache+" "+result]++
}

// take answers the counts since it was last called.
func (c *counter) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.counts = nil }()
	return c.counts
}
