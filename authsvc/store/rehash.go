package store

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/stile-gate/stile/policy"
)

// RehashBooks is a store that can move a key from one hash to another.
type RehashBooks interface {
	RehashKey(ctx context.Context, id, from, to string) error
}

// Rehasher moves keys that were found under a hash of before to the one with the current
// pepper, behind the requests that found them: only then is the key at hand that a hash is
// made of. It is bounded: what does not fit is left out, and the next look-up tries again.
type Rehasher struct {
	store RehashBooks
	done  func(result string, err error)
	queue chan rehash

	mu      sync.Mutex
	waiting map[string]struct{} // ids of the keys in queue and of those that are being moved
}

// rehash is one key that is to be moved.
type rehash struct{ id, from, to string }

const (
	rehashQueue   = 256
	rehashWorkers = 2
)

// NewRehasher makes one that moves nothing until Run. Done hears of each key: its result is
// "moved", "gone" when it was revoked or moved by another process meanwhile, "failed" with
// the reason, or "dropped" when too many are waiting.
func NewRehasher(in RehashBooks, done func(result string, err error)) *Rehasher {
	return &Rehasher{store: in, done: done, queue: make(chan rehash, rehashQueue), waiting: map[string]struct{}{}}
}

// Run moves keys until ctx ends, a few at a time. What is under way then, it ends; what is
// waiting is left as it is.
func (r *Rehasher) Run(ctx context.Context) {
	var workers sync.WaitGroup
	for range rehashWorkers {
		workers.Go(func() {
			for ctx.Err() == nil {
				select {
				case <-ctx.Done():
				case next := <-r.queue:
					r.move(ctx, next)
				}
			}
		})
	}
	workers.Wait()
}

func (r *Rehasher) move(ctx context.Context, next rehash) {
	err := r.store.RehashKey(ctx, next.id, next.from, next.to)
	r.mu.Lock()
	delete(r.waiting, next.id)
	r.mu.Unlock()
	switch {
	case err == nil:
		r.done("moved", nil)
	case errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict):
		r.done("gone", nil)
	default:
		r.done("failed", err)
	}
}

// want asks for a key to be moved, once however many requests present it. It neither waits
// nor fails. A nil Rehasher moves none.
func (r *Rehasher) want(id, from, to string) {
	if r == nil || policy.PepperVersion(from) >= policy.PepperVersion(to) {
		return
	}
	if !r.enqueue(rehash{id, from, to}) {
		r.done("dropped", nil)
	}
}

func (r *Rehasher) enqueue(next rehash) (room bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, already := r.waiting[next.id]; already {
		return true
	}
	select {
	case r.queue <- next:
		r.waiting[next.id] = struct{}{}
		return true
	default:
		return false
	}
}

// checkRehash answers an *InvalidError, or nil.
func checkRehash(id, from, to string) error {
	var p problems
	p.id("id", id)
	p.add("from", policy.CheckKeyHash(from))
	p.add("to", policy.CheckKeyHash(to))
	if p.err() == nil && policy.PepperVersion(from) >= policy.PepperVersion(to) {
		p.add("to", errors.New("a key moves to a pepper of a higher version only"))
	}
	return p.err()
}

var errHashTaken = fmt.Errorf("the new hash is that of another key: %w", ErrExists)

// notUnder is for a key that has a third hash.
func notUnder(id string) error {
	return fmt.Errorf("key %q under the hash that it is said to have: %w", id, ErrNotFound)
}
