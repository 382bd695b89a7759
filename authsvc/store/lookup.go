package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"
)

// fetchTimeout bounds one question to the source, whoever waits for it.
const fetchTimeout = time.Second

// shared is what the look-ups of one cache have in common.
type shared struct {
	options CacheOptions
	epoch   time.Time // what the times of entries count from
	breaker breaker

	// Every invalidation begins a new generation. An answer is remembered only in the
	// generation in which it was asked for, since it may be older than the invalidation.
	mu         sync.Mutex
	generation atomic.Uint64 // written under mu
}

func (s *shared) sinceEpoch(now time.Time) time.Duration { return now.Sub(s.epoch) }

// next begins a generation. When it returns, no answer of an older one will be stored.
func (s *shared) next() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation.Add(1)
}

// during runs store if the generation is still the current one.
func (s *shared) during(generation uint64, store func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation.Load() == generation {
		store()
	}
}

// entry is one that was found. Its times count from the cache's epoch: there are many
// entries, and a time.Time is three words and a pointer.
type entry[V any] struct {
	value *V
	fresh time.Duration // good until then
	stale time.Duration // good until then while the source fails
}

// lookup remembers what a source answered for one kind of thing. Unknown ones are kept
// apart, so that a flood of them drives no found one out.
type lookup[K comparable, V any] struct {
	*shared
	name    string
	known   *otter.Cache[K, entry[V]]
	unknown *otter.Cache[K, time.Time] // unknown until then
	flights singleflight.Group
}

func newLookup[K comparable, V any](name string, s *shared) *lookup[K, V] {
	return &lookup[K, V]{
		shared: s, name: name,
		known:   otter.Must(&otter.Options[K, entry[V]]{MaximumSize: s.options.Entries}),
		unknown: otter.Must(&otter.Options[K, time.Time]{MaximumSize: s.options.NegativeEntries}),
	}
}

func (l *lookup[K, V]) count(result string) { l.options.Count(l.name, result) }

// remembered answers what is known for certain at this time, be it nil; false when the
// source must be asked.
func (l *lookup[K, V]) remembered(k K, now time.Time) (*V, bool) {
	if e, ok := l.known.GetIfPresent(k); ok {
		if l.sinceEpoch(now) < e.fresh {
			l.count("hit")
			return e.value, true
		}
		return nil, false
	}
	if until, ok := l.unknown.GetIfPresent(k); ok && now.Before(until) {
		l.count("negative")
		return nil, true
	}
	return nil, false
}

// ask asks the source, once for all who ask for k at the same time, and falls back on
// what it answered before. The flight is k as text.
func (l *lookup[K, V]) ask(ctx context.Context, k K, flight string, source func(context.Context) (*V, error)) (*V, error) {
	value, err := l.join(ctx, k, flight, source)
	if err == nil {
		l.count("miss")
		return value, nil
	}
	if e, ok := l.known.GetIfPresent(k); ok && l.sinceEpoch(l.options.Now()) < e.stale {
		l.count("stale")
		return e.value, nil
	}
	l.count("error")
	return nil, fmt.Errorf("look up %s: %w", l.name, err)
}

// join waits for the question that is under way, or asks it. The generation is part of
// its name: who comes after an invalidation must not get an answer from before it.
func (l *lookup[K, V]) join(ctx context.Context, k K, flight string, source func(context.Context) (*V, error)) (*V, error) {
	if err := l.breaker.refuses(l.options.Now()); err != nil {
		return nil, err
	}
	generation := l.generation.Load()
	answer := l.flights.DoChan(flight+" "+strconv.FormatUint(generation, 10), func() (any, error) {
		value, err := l.fetch(context.WithoutCancel(ctx), source)
		if err == nil {
			l.during(generation, func() { l.remember(k, value) })
		}
		return value, err
	})
	select {
	case a := <-answer:
		return a.Val.(*V), a.Err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (l *lookup[K, V]) fetch(ctx context.Context, source func(context.Context) (*V, error)) (*V, error) {
	leave, err := l.breaker.enter(l.options.Now())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	value, err := source(ctx)
	leave(l.options.Now(), err)
	return value, err
}

func (l *lookup[K, V]) remember(k K, value *V) {
	now := l.options.Now()
	if value == nil {
		l.known.Invalidate(k)
		l.unknown.Set(k, now.Add(jitter(l.options.NegativeTTL)))
		return
	}
	fresh := l.sinceEpoch(now) + jitter(l.options.TTL)
	l.unknown.Invalidate(k)
	l.known.Set(k, entry[V]{value, fresh, fresh + l.options.StaleGrace})
}

// pin remembers what never changes.
func (l *lookup[K, V]) pin(k K, value *V) {
	l.count("hit")
	l.known.Set(k, entry[V]{value, forever, forever})
}

// forget drops the found ones that match, of those that were there when the generation
// began.
func (l *lookup[K, V]) forget(match func(K, *V) bool) {
	for k, e := range l.known.All() {
		if match(k, e.value) {
			l.known.Invalidate(k)
		}
	}
}

// jitter spreads d by a tenth either way, so that what was fetched together does not
// expire together.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}
