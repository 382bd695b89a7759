package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Books is a store that Announced stands before.
type Books interface {
	Source
	Consumers(ctx context.Context, after string, limit int) ([]Consumer, error)
	CreateConsumer(context.Context, Consumer) (Consumer, error)
	UpdateConsumer(context.Context, Consumer) (Consumer, error)
	DeleteConsumer(ctx context.Context, id string) error
	CreateKey(context.Context, Key) error
	Key(ctx context.Context, id string) (*Key, error)
	Keys(ctx context.Context, consumer, after string, limit int) ([]Key, error)
	UpdateKey(context.Context, Key) (Key, error)
	RevokeKey(ctx context.Context, id string) error
	Revoke(context.Context, Revocation) error
}

// Announcer tells all replicas what became different, and answers the number by which
// WaitApplied knows it.
type Announcer interface {
	Announce(ctx context.Context, c Change) (n int64, err error)
}

// ErrUnannounced: a write was done, and the others could not be told.
var ErrUnannounced = errors.New("the change is stored, but other replicas hear of it only when their cache expires")

// announceTime bounds an announcement. It is made even when whoever asked for the write has
// gone away.
const announceTime = 2 * time.Second

// Announced is a store that announces each write after it was done, and also when it failed
// half-way. Reads are those of the store. A write of the store that is to be announced
// needs a method here: what is embedded is not.
type Announced struct {
	Books
	to   Announcer
	last atomic.Int64

	// In turn, so that last is of the last one: it need not be the highest number, since a
	// log that was lost begins anew.
	turn sync.Mutex
}

// Announce puts an announcer behind a store's writes.
func Announce(books Books, to Announcer) *Announced { return &Announced{Books: books, to: to} }

// Last is the number of the last change that was announced here, 0 before the first. When
// that is applied, so is every change that was announced before, unless the log was lost
// meanwhile: then replicas forget everything.
func (a *Announced) Last() int64 { return a.last.Load() }

// announce tells of a write that ended with an error or nil, and answers that with its own.
func (a *Announced) announce(ctx context.Context, c Change, written error) error {
	if written != nil && unchanged(written) {
		return written
	}
	a.turn.Lock()
	defer a.turn.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceTime)
	defer cancel()
	n, err := a.to.Announce(ctx, c)
	if err != nil {
		if written != nil {
			return fmt.Errorf("%w; it may be stored in part, which could not be announced: %w", written, err)
		}
		return fmt.Errorf("%w: %w", ErrUnannounced, err)
	}
	a.last.Store(n)
	return written
}

// unchanged tells whether a failed write has certainly left everything as it was.
func unchanged(err error) bool {
	var invalid *InvalidError
	return errors.As(err, &invalid) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrExists) || errors.Is(err, ErrConflict)
}

// CreateConsumer is announced, since replicas remember that there was none.
func (a *Announced) CreateConsumer(ctx context.Context, c Consumer) (Consumer, error) {
	created, err := a.Books.CreateConsumer(ctx, c)
	return created, a.announce(ctx, Change{ConsumerChanged, c.ID}, err)
}

// UpdateConsumer is announced, for the consumer and all its keys.
func (a *Announced) UpdateConsumer(ctx context.Context, c Consumer) (Consumer, error) {
	updated, err := a.Books.UpdateConsumer(ctx, c)
	return updated, a.announce(ctx, Change{ConsumerChanged, c.ID}, err)
}

// DeleteConsumer is announced, for the consumer and all its keys.
func (a *Announced) DeleteConsumer(ctx context.Context, id string) error {
	err := a.Books.DeleteConsumer(ctx, id)
	return a.announce(ctx, Change{ConsumerChanged, id}, err)
}

// CreateKey is announced, since replicas remember that there was none.
func (a *Announced) CreateKey(ctx context.Context, k Key) error {
	err := a.Books.CreateKey(ctx, k)
	return a.announce(ctx, Change{KeyChanged, k.ID}, err)
}

// UpdateKey is announced.
func (a *Announced) UpdateKey(ctx context.Context, k Key) (Key, error) {
	updated, err := a.Books.UpdateKey(ctx, k)
	return updated, a.announce(ctx, Change{KeyChanged, k.ID}, err)
}

// RevokeKey is announced.
func (a *Announced) RevokeKey(ctx context.Context, id string) error {
	err := a.Books.RevokeKey(ctx, id)
	return a.announce(ctx, Change{KeyChanged, id}, err)
}

// Revoke is announced, for the tokens that it ends.
func (a *Announced) Revoke(ctx context.Context, rev Revocation) error {
	err := a.Books.Revoke(ctx, rev)
	return a.announce(ctx, Change{TokenChanged, rev.ID()}, err)
}
