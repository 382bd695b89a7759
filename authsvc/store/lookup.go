package store

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"
)

// fetchTimeout bounds one question to the source, whoever waits for it.
const fetchTimeout = time.Second

// unfollowedTTL is how long a found one is good while nobody tells what changes.
const unfollowedTTL = 2 * time.Second

// shared is what the look-ups of one cache have in common.
type shared struct {
	options    CacheOptions
	epoch      time.Time   // what the times of entries count from
	unfollowed atomic.Bool // nobody tells what changes
	forgotten  forgotten
	breaker    breaker
}

func (s *shared) sinceEpoch(now time.Time) time.Duration { return now.Sub(s.epoch) }

// entry is one that was found. Its times count from the cache's epoch: there are many
// entries, and a time.Time is three words and a pointer.
type entry[V any] struct {
	value      *V
	fetched    time.Duration
	fresh      time.Duration // good until then, and for the grace beyond while the source fails
	generation uint64        // in which it was asked for
	on         dependence
}

// absence is one that was not found.
type absence struct {
	until      time.Duration
	generation uint64 // in which it was asked for
}

// lookup remembers what a source answered for one kind of thing. Unknown ones are kept
// apart, so that a flood of them drives no found one out.
type lookup[K comparable, V any] struct {
	*shared
	name    string
	on      func(*V) dependence
	known   *otter.Cache[K, entry[V]]
	unknown *otter.Cache[K, absence]
	flights singleflight.Group
}

func newLookup[K comparable, V any](name string, s *shared, on func(*V) dependence) *lookup[K, V] {
	return &lookup[K, V]{
		shared: s, name: name, on: on,
		known:   otter.Must(&otter.Options[K, entry[V]]{MaximumSize: s.options.Entries}),
		unknown: otter.Must(&otter.Options[K, absence]{MaximumSize: s.options.NegativeEntries}),
	}
}

func (l *lookup[K, V]) count(result string) { l.options.Count(l.name, result) }

// remembered answers what is known for certain at this time, be it nil; false when the
// source must be asked.
func (l *lookup[K, V]) remembered(k K, now time.Time) (*V, bool) {
	at := l.sinceEpoch(now)
	if e, ok := l.known.GetIfPresent(k); ok {
		if at < e.fresh && (at-e.fetched < unfollowedTTL || !l.unfollowed.Load()) && !l.forgotten.has(e.generation, e.on) {
			l.count("hit")
			return e.value, true
		}
		return nil, false
	}
	if a, ok := l.unknown.GetIfPresent(k); ok && at < a.until && !l.forgotten.hasUnknown(a.generation) {
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
	if e, ok := l.known.GetIfPresent(k); ok && !l.forgotten.has(e.generation, e.on) &&
		l.sinceEpoch(l.options.Now())-l.options.StaleGrace < e.fresh {
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
	generation := l.forgotten.generation.Load()
	answer := l.flights.DoChan(flight+" "+strconv.FormatUint(generation, 10), func() (any, error) {
		value, err := l.fetch(context.WithoutCancel(ctx), source)
		if err == nil {
			l.remember(k, value, generation)
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

// remember keeps an answer, unless it was forgotten while it was under way.
func (l *lookup[K, V]) remember(k K, value *V, generation uint64) {
	at := l.sinceEpoch(l.options.Now())
	if value == nil {
		if !l.forgotten.hasUnknown(generation) {
			l.known.Invalidate(k)
			l.unknown.Set(k, absence{at + jitter(l.options.NegativeTTL), generation})
		}
		return
	}
	if on := l.on(value); !l.forgotten.has(generation, on) {
		l.unknown.Invalidate(k)
		l.known.Set(k, entry[V]{value, at, at + jitter(l.options.TTL), generation, on})
	}
}

// pin remembers what never changes.
func (l *lookup[K, V]) pin(k K, value *V) {
	l.count("hit")
	l.known.Set(k, entry[V]{value: value, fetched: forever, fresh: forever, generation: math.MaxUint64})
}

// clear gives the room of all entries back.
func (l *lookup[K, V]) clear() {
	l.known.InvalidateAll()
	l.unknown.InvalidateAll()
}

// jitter spreads d by a tenth either way, so that what was fetched together does not
// expire together.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}
