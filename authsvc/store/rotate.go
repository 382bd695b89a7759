package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// RotationBooks is what a rotation needs of a store.
type RotationBooks interface {
	Key(ctx context.Context, id string) (*Key, error)
	CreateKey(context.Context, Key) error
	UpdateKey(context.Context, Key) (Key, error)
	RevokeKey(ctx context.Context, id string) error
}

// Rotation says what takes the place of a key, and for how long both are good.
type Rotation struct {
	ID, Hash string        // of the new key
	Name     string        // of the new key; "" for the name of the old one
	Overlap  time.Duration // with 0 the old key is revoked at once
	Now      time.Time
}

// RotateKey makes a key that may do all that another may, and lets that one end. It answers
// both: ErrNotFound when there is no such key, ErrConflict when it is rotating already, has
// expired, or was changed meanwhile. The new key is made first; when the old one cannot be
// marked, the new one, which nobody has seen, is revoked.
func RotateKey(ctx context.Context, books RotationBooks, id string, r Rotation) (made, old Key, err error) {
	found, err := books.Key(ctx, id)
	if err == nil && found == nil {
		err = fmt.Errorf("key %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return Key{}, Key{}, err
	}
	if err := rotatable(ctx, books, *found, r.Now); err != nil {
		return Key{}, Key{}, err
	}
	made = r.successor(*found)
	if err := books.CreateKey(ctx, made); err != nil {
		return Key{}, Key{}, err
	}
	if old, err = markRotated(ctx, books, *found, r); err != nil {
		return Key{}, Key{}, takeBack(ctx, books, made, err)
	}
	if r.Overlap <= 0 {
		_ = books.RevokeKey(ctx, old.ID) // it has expired already: this is tidiness
	}
	return made, old, nil
}

// rotatable refuses a key that has a living successor: that one is to be rotated.
func rotatable(ctx context.Context, books RotationBooks, k Key, now time.Time) error {
	if !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) {
		return fmt.Errorf("key %q has expired; create a new one: %w", k.ID, ErrConflict)
	}
	if k.ReplacedBy == "" {
		return nil
	}
	next, err := books.Key(ctx, k.ReplacedBy)
	if err == nil && next != nil {
		err = fmt.Errorf("key %q is being replaced by %q; rotate that one: %w", k.ID, k.ReplacedBy, ErrConflict)
	}
	return err
}

func (r Rotation) successor(old Key) Key {
	next := old.clone()
	next.ID, next.Hash, next.Created, next.Version = r.ID, r.Hash, r.Now, 1
	next.Opaque, next.ReplacedBy, next.LastUsed = false, "", time.Time{}
	if r.Name != "" {
		next.Name = r.Name
	}
	if next.Lineage == "" {
		next.Lineage = old.ID
	}
	return next.clone()
}

// markRotated lets the old key end. When the answer is lost it looks what became of it.
func markRotated(ctx context.Context, books RotationBooks, old Key, r Rotation) (Key, error) {
	end := r.Now.Add(max(r.Overlap, 0))
	if old.ExpiresAt.IsZero() || end.Before(old.ExpiresAt) {
		old.ExpiresAt = end
	}
	old.ReplacedBy = r.ID
	marked, err := books.UpdateKey(ctx, old)
	if err == nil || errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) {
		return marked, err
	}
	if errors.Is(err, ErrUnannounced) { // it is marked; until they hear of it, others only keep it for longer
		return marked, nil
	}
	if found, again := books.Key(context.WithoutCancel(ctx), old.ID); again == nil && found != nil && found.ReplacedBy == r.ID {
		return *found, nil
	}
	return Key{}, err
}

func takeBack(ctx context.Context, books RotationBooks, made Key, why error) error {
	if err := books.RevokeKey(context.WithoutCancel(ctx), made.ID); err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w; the new key %q, which nobody has seen, could not be revoked: %w", why, made.ID, err)
	}
	return fmt.Errorf("%w; the new key was revoked again", why)
}
