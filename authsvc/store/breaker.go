package store

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// After a failure the source is left alone for minPause, which doubles up to maxPause
// while probes fail.
const (
	minPause = 250 * time.Millisecond
	maxPause = time.Second
)

// breaker keeps look-ups from queueing on a source that is down: after a failure it
// refuses at once, and lets a single probe through when a pause has passed.
type breaker struct {
	mu      sync.Mutex
	failure error // the last one; nil while the source answers
	pause   time.Duration
	until   time.Time // no probe before
	probing bool
}

// refuses tells why the source is not to be asked now, without taking the probe.
func (b *breaker) refuses(now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refusal(now)
}

func (b *breaker) refusal(now time.Time) error {
	if b.failure == nil || (!b.probing && !now.Before(b.until)) {
		return nil
	}
	return fmt.Errorf("the store failed a moment ago: %w", b.failure)
}

// enter asks for leave to ask the source. Whoever gets it calls leave with what came of it.
func (b *breaker) enter(now time.Time) (leave func(time.Time, error), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refusal(now); err != nil {
		return nil, err
	}
	probe := b.failure != nil
	b.probing = probe
	return func(now time.Time, err error) { b.leave(now, err, probe) }, nil
}

func (b *breaker) leave(now time.Time, err error, probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil, errors.Is(err, ErrCorrupt): // one bad value is no outage
		b.failure, b.probing = nil, false
	case b.failure == nil:
		b.failure, b.pause, b.until = err, minPause, now.Add(minPause)
	case probe:
		b.failure, b.probing = err, false
		b.pause = min(2*b.pause, maxPause)
		b.until = now.Add(b.pause)
	}
}
