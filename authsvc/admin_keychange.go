package authsvc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
)

// keyChange is what an update says: all of a key that can change.
type keyChange struct {
	keyFields
	Version int64 `json:"version,omitempty"` // of the key that was read; 0 overwrites whatever is there
}

// overwriteAttempts bounds how often an update of version 0 starts again because another
// came first.
const overwriteAttempts = 5

// updateKey replaces what the caller may say of a key. That it is rotating stays.
func (a *Admin) updateKey(ctx context.Context, r *http.Request, in keyChange) (keyView, error) {
	id, err := a.pathID(r)
	if err != nil {
		return keyView{}, err
	}
	if a.declaredKey(id) != nil {
		return keyView{}, declaredHere(id)
	}
	var updated store.Key
	for range overwriteAttempts {
		if updated, err = a.tryUpdateKey(ctx, id, in); in.Version != 0 || !errors.Is(err, store.ErrConflict) {
			break
		}
	}
	a.Local.ForgetKey(id)
	return keyView{updated, false}, err
}

func (a *Admin) tryUpdateKey(ctx context.Context, id string, in keyChange) (store.Key, error) {
	old, err := a.storedKey(ctx, id)
	if err != nil {
		return store.Key{}, err
	}
	next := in.apply(*old)
	if in.Version != 0 {
		next.Version = in.Version
	}
	if err := a.checkKey(next); err != nil {
		return store.Key{}, err
	}
	if !next.ExpiresAt.Equal(old.ExpiresAt) {
		if err := a.notOver(next); err != nil {
			return store.Key{}, err
		}
		if old.ReplacedBy != "" && (next.ExpiresAt.IsZero() || next.ExpiresAt.After(old.ExpiresAt)) {
			return store.Key{}, badCall("expires_at: key %q has been replaced by %q and ends no later than %s",
				id, old.ReplacedBy, old.ExpiresAt.Format(time.RFC3339))
		}
	}
	updated, err := a.Keys.UpdateKey(ctx, next)
	updated.LastUsed = old.LastUsed
	return updated, err
}

func (a *Admin) storedKey(ctx context.Context, id string) (*store.Key, error) {
	k, err := a.Keys.Key(ctx, id)
	if err == nil && k == nil {
		err = fmt.Errorf("key %q: %w", id, store.ErrNotFound)
	}
	return k, err
}

// rotationInput says for how long the old key stays good beside the new one.
type rotationInput struct {
	Overlap string `json:"overlap"`        // a duration such as 24h
	Name    string `json:"name,omitempty"` // of the new key; that of the old one for ""
}

// maxOverlap bounds a rotation: what takes longer is not one.
const maxOverlap = 365 * 24 * time.Hour

// keyRotated shows the new key, the one time that it is shown.
type keyRotated struct {
	keyCreated
	Replaces string    `json:"replaces"`       // id of the old key
	Until    time.Time `json:"replaces_until"` // when the old key ends
}

func (a *Admin) rotateKey(ctx context.Context, r *http.Request, in rotationInput) (keyRotated, error) {
	id, err := a.pathID(r)
	if err != nil {
		return keyRotated{}, err
	}
	overlap, err := time.ParseDuration(in.Overlap)
	if err != nil || overlap <= 0 || overlap > maxOverlap {
		return keyRotated{}, badCall("overlap is for how long both keys are good: a duration such as 24h, up to %s; "+
			"to end a key at once, revoke it", maxOverlap)
	}
	if a.declaredKey(id) != nil {
		return keyRotated{}, declaredHere(id)
	}
	now := a.now()
	if a.Now().After(now) { // a second that has begun is no reason for less than was asked
		overlap += time.Second
	}
	newID, text := a.Format.New()
	made, old, err := store.RotateKey(ctx, a.Keys, id, store.Rotation{
		ID: newID, Hash: a.Pepper.HashKey(text), Name: in.Name, Overlap: overlap, Now: now,
	})
	a.Local.ForgetKey(id)
	a.Local.ForgetNegative()
	if err != nil {
		return keyRotated{}, err
	}
	return keyRotated{keyCreated{made, text.Reveal()}, old.ID, old.ExpiresAt}, nil
}
