package main

import (
	"context"
	"fmt"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
)

// loads is the store for those who write many records at once.
func (p parts) loads() store.Loader {
	if p.replica == nil {
		return p.store
	}
	return announcedLoads{p.replica.store}
}

// announceTime bounds an announcement, which is made even when whoever asked has gone away.
const announceTime = 2 * time.Second

// announcedLoads is a shared store that tells the other replicas of all that was loaded at
// once, in one change: new records are what they remember not to be there, and any change
// of a record ends that.
type announcedLoads struct {
	to interface {
		store.Loader
		store.Announcer
	}
}

// Load writes records, which are new or in conflict with what is there. With results and
// store.ErrUnannounced, what they say was done.
func (l announcedLoads) Load(ctx context.Context, records []store.Record) ([]error, error) {
	problems, err := l.to.Load(ctx, records)
	at := 0
	for at < len(problems) && problems[at] != nil {
		at++
	}
	if len(records) == 0 || err == nil && at == len(records) {
		return problems, nil // nothing was written
	}
	if err != nil {
		at = 0 // any of them may be there
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceTime)
	defer cancel()
	_, unannounced := l.to.Announce(ctx, changeOf(records[at]))
	if err == nil && unannounced != nil {
		err = fmt.Errorf("%w: %w", store.ErrUnannounced, unannounced)
	}
	return problems, err
}

func changeOf(r store.Record) store.Change {
	if r.Consumer != nil {
		return store.Change{Kind: store.ConsumerChanged, ID: r.Consumer.ID}
	}
	return store.Change{Kind: store.KeyChanged, ID: r.Key.ID}
}
