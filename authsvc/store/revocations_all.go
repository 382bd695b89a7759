package store

import (
	"context"
	"time"
)

// listTimeout bounds the reading of all that is revoked; listPause is how soon it is tried
// again.
const (
	listTimeout = 5 * time.Second
	listPause   = time.Second
)

// Run reads all that is revoked at once, and again when announcements may have been missed
// and after each TTL, until ctx ends. As long as that is no more than can be remembered, no
// token needs a question to the store.
func (r *Revocations) Run(ctx context.Context) {
	failing := false
	for {
		again, err := r.list(ctx)
		if err != nil && !failing {
			r.options.Failed(err)
		}
		failing = err != nil
		next := time.NewTimer(again)
		select {
		case <-ctx.Done():
			next.Stop()
			r.complete.Store(false)
			return
		case <-next.C:
		case <-r.missed:
			next.Stop()
		}
	}
}

// list reads all that is revoked, and answers when to do so again.
func (r *Revocations) list(ctx context.Context) (again time.Duration, err error) {
	generation := r.generation.Load()
	r.known.begin()
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	ids, all, err := r.options.Source.AllRevoked(ctx, r.options.Known)
	marks := make([]mark, len(ids))
	for i := 0; i < len(ids) && err == nil; i++ {
		marks[i], err = parseMark(ids[i])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil { // there may be some that were never announced
		r.complete.Store(false)
		return jitter(listPause), err
	}
	all = all && r.known.take(marks, r.options.Now()) // else the latest announced are of more use
	r.complete.Store(all && r.generation.Load() == generation)
	return jitter(r.options.TTL), nil
}
