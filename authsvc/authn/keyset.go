package authn

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// keyTimes says how long keys are used and how often they are asked for.
type keyTimes struct {
	ttl      time.Duration // after this, keys are fetched anew before use
	maxAge   time.Duration // keys are used this long while fetches fail
	interval time.Duration // between the beginnings of two fetches, whatever happens
	timeout  time.Duration // of one fetch
}

const (
	// unknownFor is how long a kid that the issuer did not have is not asked for again.
	// It is short, so that a stranger who asks for a kid before it is published keeps
	// nobody out for long.
	unknownFor = time.Minute
	maxUnknown = 1024
)

// keySet holds an issuer's keys and fetches them when that is due. go-oidc's own key set
// never lets a key go, and asks the issuer once for each bad signature.
//
// No goroutine outlives a fetch: requests start the fetches, and when they cease, so do
// those.
type keySet struct {
	source  source
	times   keyTimes
	now     func() time.Time
	current atomic.Pointer[keys] // nil until the first fetch succeeds

	mu      sync.Mutex
	flight  *flight              // the fetch under way, if any
	started time.Time            // when the last one began
	failure error                // how the last one failed, nil when it did not
	unknown map[string]time.Time // kids that the issuer did not have, and when
}

// flight is one fetch. Its error may be read once done is closed.
type flight struct {
	done chan struct{}
	err  error
}

func newKeySet(source source, times keyTimes, now func() time.Time) *keySet {
	return &keySet{source: source, times: times, now: now, unknown: map[string]time.Time{}}
}

// usable returns keys that may be trusted now. Shortly before their time is over, it
// fetches them in the background; when it is over, it waits for the fetch. While fetches
// fail, it does not wait any more, and keys are good until maxAge.
func (s *keySet) usable(ctx context.Context) (*keys, error) {
	now := s.now()
	if k := s.current.Load(); k != nil {
		age := now.Sub(k.loaded)
		if age < s.times.ttl/5*4 {
			return k, nil
		}
		if age < s.times.ttl || age < s.times.maxAge && s.failing(now) {
			s.start()
			return k, nil
		}
	}
	err := s.refresh(ctx)
	if k := s.current.Load(); k != nil && now.Sub(k.loaded) < s.times.maxAge {
		return k, nil
	}
	return nil, cmp.Or(err, errors.New("keys are too old"))
}

// failing tells whether the last fetch failed, and not so long ago that another outcome
// is to be expected.
func (s *keySet) failing(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure != nil && now.Sub(s.started) < s.times.ttl
}

// withKey is usable, and where the keys have none of this id, those after another fetch,
// for it may have been published since. A bad signature by a known key is no reason to
// ask, nor is a token that names none. That the issuer does not have the key is no
// error; that it cannot be asked is one.
func (s *keySet) withKey(ctx context.Context, id string) (*keys, error) {
	k, err := s.usable(ctx)
	if err != nil || id == "" || k.has(id) || s.isUnknown(id) {
		return k, err
	}
	asked := s.now()
	if err := s.refresh(ctx); err != nil {
		return nil, err
	}
	k = s.current.Load()
	if !k.has(id) && !k.loaded.Before(asked) {
		s.markUnknown(id, asked)
	}
	return k, nil
}

func (s *keySet) isUnknown(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	since, ok := s.unknown[id]
	return ok && s.now().Sub(since) < unknownFor
}

func (s *keySet) markUnknown(id string, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unknown) >= maxUnknown {
		clear(s.unknown) // the minimum interval still holds a flood back
	}
	s.unknown[id] = since
}

// refresh waits for a fetch, which it shares with everyone who waits at the time. Where
// the last one is too recent for another, its outcome stands.
func (s *keySet) refresh(ctx context.Context) error {
	f := s.start()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// start begins a fetch, unless one is under way or began less than the minimum interval
// ago. It is the only way to one. It returns the last flight, be it under way or over.
func (s *keySet) start() *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.flight != nil && (!s.flight.over() || now.Sub(s.started) < s.times.interval) {
		return s.flight
	}
	s.started = now
	s.flight = &flight{done: make(chan struct{})}
	go s.fetch(s.flight, now)
	return s.flight
}

func (f *flight) over() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// fetch runs on its own time, not on that of a request that may be given up.
func (s *keySet) fetch(f *flight, now time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), s.times.timeout)
	defer cancel()
	document, err := s.source.fetch(ctx)
	var next *keys
	if err == nil {
		next, err = parseKeys(document)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		next.loaded, next.generation = now, 1
		if last := s.current.Load(); last != nil {
			next.generation = last.generation
			if next.content != last.content {
				next.generation++
			}
		}
		s.current.Store(next)
	}
	s.failure, f.err = err, err
	close(f.done)
}
