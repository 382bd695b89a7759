package store_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// stepper is a store whose every round trip waits for leave.
type stepper struct {
	*store.Redis
	turn, stepped, done chan struct{}
	twice               int // the round trip that is made twice, as if its answer had been lost
	made                int
	dead                bool
}

// deadError is no failure of the server, which would make its guard refuse the steps.
type deadError struct{}

func (deadError) Error() string { return "the writer is no more" }
func (deadError) RedisError()   {}

func newStepper(t *testing.T, server *storetest.Redis) *stepper {
	s := &stepper{Redis: openRedis(t, server), twice: -1}
	if err := s.Ping(t.Context()); err != nil { // so that connecting is no step
		t.Fatal(err)
	}
	s.Client().AddHook(s)
	return s
}

// begin starts an operation, which waits before its first round trip.
func (s *stepper) begin(ctx context.Context, op operation) {
	s.turn, s.stepped, s.done = make(chan struct{}), make(chan struct{}), make(chan struct{})
	s.made, s.dead = 0, false
	go func() {
		defer close(s.done)
		_ = op(ctx, s.Redis)
	}()
}

// steps makes up to n round trips and answers false when the operation has ended.
func (s *stepper) steps(n int) bool {
	for range n {
		select {
		case s.turn <- struct{}{}:
			<-s.stepped
		case <-s.done:
			return false
		}
	}
	return true
}

func (s *stepper) finish() { s.steps(1 << 20) }

// die makes the server out of reach for the rest of the operation.
func (s *stepper) die() {
	s.dead = true
	s.finish()
}

func (s *stepper) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *stepper) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return s.step(func() error { return next(ctx, cmd) }, func(err error) { cmd.SetErr(err) })
	}
}

func (s *stepper) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return s.step(func() error { return next(ctx, cmds) }, func(err error) {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
		})
	}
}

func (s *stepper) step(send func() error, fail func(error)) error {
	<-s.turn
	defer func() { s.stepped <- struct{}{} }()
	defer func() { s.made++ }()
	if s.dead {
		fail(deadError{})
		return deadError{}
	}
	if s.made == s.twice {
		_ = send()
	}
	return send()
}
