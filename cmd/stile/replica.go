package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stile-gate/stile/authsvc"
	"github.com/stile-gate/stile/authsvc/store"
)

// replica is this process as one of several on the same store: it tells the others what was
// changed through it, and hears what was changed through them. A store that belongs to one
// process has none.
type replica struct {
	store     *store.Redis
	announced *store.Announced

	mu       sync.Mutex
	followed atomic.Bool // all changes up to now are heard; written under mu

	failure atomic.Pointer[error] // why changes could not be followed last
}

// newReplica is nil for a store that is not shared.
func newReplica(b books) *replica {
	r, shared := b.(*store.Redis)
	if !shared {
		return nil
	}
	return &replica{store: r, announced: store.Announce(r, r)}
}

// follow hears of changes until ctx ends, and has the program in force forget what they
// made different.
func (r *replica) follow(ctx context.Context, l *live) {
	follower := store.NewFollower(store.FollowerOptions{
		Redis: r.store,
		Apply: l.apply,
		Reset: l.forgetAll,
		Healthy: func(yes bool) {
			r.note(yes, l)
			if yes {
				l.log.Info("changes are followed")
			} else {
				l.log.Error("changes are not followed; what is cached is asked for again after 2s", "error", r.unfollowed())
			}
			l.metrics.follows(yes)
		},
		Lag: l.metrics.observeChange,
		Failed: func(err error) {
			r.failure.Store(&err)
			l.log.Debug("changes cannot be followed", "error", err)
		},
	})
	follower.Run(ctx)
}

// note remembers whether changes are followed, and tells the cache in force.
func (r *replica) note(yes bool, l *live) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.followed.Store(yes)
	l.current.Load().cache.Followed(yes)
}

// unfollowed is why changes are not followed; nil while they are, and where they need not be.
func (r *replica) unfollowed() error {
	if r == nil || r.followed.Load() {
		return nil
	}
	if failure := r.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}

// tell tells the cache of a program that has just come into force.
func (r *replica) tell(prog *program) {
	r.mu.Lock()
	defer r.mu.Unlock()
	prog.cache.Followed(r.followed.Load())
}

// wait answers which replicas have not applied all that was announced here so far.
func (r *replica) wait(ctx context.Context) ([]string, error) {
	behind, err := r.store.WaitApplied(ctx, r.announced.Last())
	var slow []string
	for _, b := range behind {
		slow = append(slow, fmt.Sprintf("%s on %s, last seen %s ago", b.ID, b.Host, b.Seen.Round(time.Millisecond)))
	}
	return slow, err
}

// changeable is a store as the admin API changes it.
type changeable interface {
	authsvc.ConsumerBooks
	authsvc.KeyBooks
	authsvc.TokenBooks
}

// changes is the store for those who change it, and how they wait until all know.
func (p parts) changes() (changeable, authsvc.Waiter) {
	if p.replica == nil {
		return p.store, nil
	}
	return p.replica.announced, p.replica.wait
}

// followed tells whether every change is heard of at once: none is made but here, or
// the log is followed.
func (p parts) followed() bool { return p.replica == nil || p.replica.followed.Load() }

// apply forgets what a change made different.
func (l *live) apply(c store.Change) {
	prog := l.current.Load()
	prog.cache.Apply(c)
	switch c.Kind {
	case store.TokenChanged:
		prog.revoked.Apply(c.ID)
	case store.EverythingChanged:
		prog.revoked.ForgetAll()
	}
}

// forgetAll is for when changes may have been missed.
func (l *live) forgetAll() {
	prog := l.current.Load()
	prog.cache.ForgetAll()
	prog.revoked.ForgetAll()
}
