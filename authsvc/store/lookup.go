package store

import (
	"context"
	"errors"
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

// spareTime is how long a source that failed is not asked for what can be served stale.
const spareTime = 100 * time.Millisecond

// unfollowedTTL is how long a found one is good while nobody tells what changes.
const unfollowedTTL = 2 * time.Second

// shared is what the look-ups of one cache have in common.
type shared struct {
	options    CacheOptions
	epoch      time.Time   // what the times of entries count from
	unfollowed atomic.Bool // nobody tells what changes
	forgotten  forgotten
	spared     atomic.Int64 // until then (after epoch) a source that failed is asked only where nothing else will do
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

// verdict says what is to be done about what is remembered.
type verdict int

const (
	mustAsk  verdict = iota
	certain          // it is known, be it nil
	askAhead         // it is known, and is to be asked for again before it has to be
)

// remembered answers what is known at this time.
func (l *lookup[K, V]) remembered(k K, now time.Time) (*V, verdict) {
	at := l.sinceEpoch(now)
	if e, ok := l.known.GetIfPresent(k); ok {
		if at >= e.fresh || (at-e.fetched >= unfollowedTTL && l.unfollowed.Load()) || l.forgotten.has(e.generation, e.on) {
			return nil, mustAsk
		}
		l.count("hit")
		if e.fresh-at < l.options.TTL/10 && at >= l.sparedUntil() {
			return e.value, askAhead
		}
		return e.value, certain
	}
	if a, ok := l.unknown.GetIfPresent(k); ok && at < a.until && !l.forgotten.hasUnknown(a.generation) {
		l.count("negative")
		return nil, certain
	}
	return nil, mustAsk
}

func (s *shared) sparedUntil() time.Duration { return time.Duration(s.spared.Load()) }

// ask asks the source, once for all who ask for k at the same time, and falls back on
// what it answered before. The flight is k as text.
func (l *lookup[K, V]) ask(ctx context.Context, k K, flight string, source func(context.Context) (*V, error)) (*V, error) {
	if at := l.sinceEpoch(l.options.Now()); at < l.sparedUntil() {
		if value := l.stale(k, at); value != nil {
			return value, nil
		}
	}
	value, err := l.join(ctx, k, flight, source)
	if err == nil {
		l.count("miss")
		return value, nil
	}
	if value := l.stale(k, l.sinceEpoch(l.options.Now())); value != nil {
		return value, nil
	}
	l.count("error")
	return nil, fmt.Errorf("look up %s: %w", l.name, err)
}

// stale is what was found before, and stands in while the source cannot be asked; nil for
// none.
func (l *lookup[K, V]) stale(k K, at time.Duration) *V {
	e, ok := l.known.GetIfPresent(k)
	if !ok || l.forgotten.has(e.generation, e.on) || at-l.options.StaleGrace >= e.fresh {
		return nil
	}
	l.count("stale")
	return e.value
}

// join waits for the question that is under way, or asks it. The generation is part of
// its name: who comes after an invalidation must not get an answer from before it.
func (l *lookup[K, V]) join(ctx context.Context, k K, flight string, source func(context.Context) (*V, error)) (*V, error) {
	select {
	case a := <-l.fly(ctx, k, flight, source):
		return a.Val.(*V), a.Err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// fly asks the source, or joins who does, and does not wait.
func (l *lookup[K, V]) fly(ctx context.Context, k K, flight string, source func(context.Context) (*V, error)) <-chan singleflight.Result {
	generation := l.forgotten.generation.Load()
	return l.flights.DoChan(flight+" "+strconv.FormatUint(generation, 10), func() (any, error) {
		value, err := l.fetch(context.WithoutCancel(ctx), source)
		if err == nil {
			l.remember(k, value, generation)
		}
		return value, err
	})
}

func (l *lookup[K, V]) fetch(ctx context.Context, source func(context.Context) (*V, error)) (*V, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	value, err := source(ctx)
	if err != nil && !errors.Is(err, ErrCorrupt) { // one bad value is no outage
		l.spared.Store(int64(l.sinceEpoch(l.options.Now()) + spareTime))
	}
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
