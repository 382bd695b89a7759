package store

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Use says when a key was used.
type Use struct {
	Consumer, Key string
	At            time.Time // of a whole minute
}

// UseBooks is a store that keeps last uses.
type UseBooks interface {
	MarkUsed(ctx context.Context, uses []Use) error
}

// LastUsed gathers which keys are used, to the minute, and writes them to a store now and
// then. It is for people who look for keys that nobody uses: a process that is killed loses
// the last seconds, and what does not fit is left out.
type LastUsed struct {
	store  UseBooks
	seed   maphash.Seed
	latest []atomic.Uint64 // what was touched last: a hash of the key, and of the minute the last bits
	shards [usedShards]usedShard
}

const (
	usedLatest   = 1 << 18 // nearly every touch ends there; a power of two
	usedMinutes  = 1<<16 - 1
	usedShards   = 64
	usedPerShard = 4096 // 260,000 keys in all, in the two minutes for which they are remembered
	usedFlush    = 10 * time.Second
	usedTimeout  = 5 * time.Second
)

type usedShard struct {
	mu   sync.Mutex
	keys map[keyOf]usedNote
}

type keyOf struct{ consumer, key string }

type usedNote struct {
	minute  int64
	written bool
}

// NewLastUsed makes a collector; Run writes what it gathers.
func NewLastUsed(to UseBooks) *LastUsed {
	l := &LastUsed{store: to, seed: maphash.MakeSeed(), latest: make([]atomic.Uint64, usedLatest)}
	for i := range l.shards {
		l.shards[i].keys = map[keyOf]usedNote{}
	}
	return l
}

// Touch notes that a key was used. It neither waits nor fails.
func (l *LastUsed) Touch(consumer, key string, now time.Time) {
	minute := now.Unix() / 60
	hash := maphash.String(l.seed, key)
	latest, touched := &l.latest[hash%usedLatest], hash&^usedMinutes|uint64(minute)&usedMinutes
	if latest.Load() == touched {
		return
	}
	latest.Store(touched)
	shard := &l.shards[hash%usedShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	noted, known := shard.keys[keyOf{consumer, key}]
	if known && noted.minute >= minute || !known && len(shard.keys) >= usedPerShard {
		return
	}
	if !known { // the texts are cut from what a cache holds, and must not hold on to it
		consumer, key = strings.Clone(consumer), strings.Clone(key)
	}
	shard.keys[keyOf{consumer, key}] = usedNote{minute: minute}
}

// Run writes every few seconds, and once more when ctx ends. Failed, if it is not nil, hears
// why something could not be written; it is tried again with the next.
func (l *LastUsed) Run(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(usedFlush)
	defer tick.Stop()
	for done := false; !done; {
		select {
		case <-ctx.Done():
			done = true
		case <-tick.C:
		}
		if err := l.Flush(context.WithoutCancel(ctx), time.Now()); err != nil && failed != nil {
			failed(err)
		}
	}
}

// Flush writes what was noted since the last time, and forgets what is older than a minute
// before now.
func (l *LastUsed) Flush(ctx context.Context, now time.Time) error {
	uses := l.take(now.Unix()/60 - 1)
	if len(uses) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, usedTimeout)
	defer cancel()
	err := l.store.MarkUsed(ctx, uses)
	if err != nil {
		l.putBack(uses)
	}
	return err
}

// take lists what is not written, and drops what is written and not of a minute from
// oldest on.
func (l *LastUsed) take(oldest int64) (uses []Use) {
	for i := range l.shards {
		shard := &l.shards[i]
		shard.mu.Lock()
		for k, noted := range shard.keys {
			switch {
			case !noted.written:
				uses = append(uses, Use{k.consumer, k.key, time.Unix(60*noted.minute, 0).UTC()})
				shard.keys[k] = usedNote{noted.minute, true}
			case noted.minute < oldest:
				delete(shard.keys, k)
			}
		}
		shard.mu.Unlock()
	}
	return uses
}

// putBack makes the next Flush try again, but for what was used since.
func (l *LastUsed) putBack(uses []Use) {
	for _, u := range uses {
		shard := &l.shards[maphash.String(l.seed, u.Key)%usedShards]
		shard.mu.Lock()
		if k := (keyOf{u.Consumer, u.Key}); shard.keys[k].minute == u.At.Unix()/60 {
			shard.keys[k] = usedNote{minute: u.At.Unix() / 60}
		}
		shard.mu.Unlock()
	}
}
