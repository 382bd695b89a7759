package store

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// UpdateKey replaces all of a key but its hash, consumer, lineage, creation and whether it
// is opaque: ErrNotFound when there is none, ErrConflict when its version is not k's,
// unless that is 0. After another error the key may be replaced or not.
func (r *Redis) UpdateKey(ctx context.Context, k Key) (updated Key, err error) {
	if err := k.validateChange(); err != nil {
		return Key{}, err
	}
	defer r.observe("update_key", time.Now(), &err)
	ctx, cancel := whole(ctx)
	defer cancel()
	var before ref
	write := newNonce() // the same for each attempt: one whose answer was lost moves along with the key
	for range moveAttempts {
		life, err := r.settled(ctx, k.ID)
		if err != nil {
			return Key{}, err
		}
		if life == nil || *life == before { // it is not that the key has moved: it has ended
			return Key{}, keyMissing(k.ID)
		}
		updated, status, err := r.tryUpdateKey(ctx, k, *life, write)
		switch {
		case err != nil || status == "ok":
			return updated, err
		case status == "missing":
			before = *life
		}
	}
	return Key{}, fmt.Errorf("update key %q: %w", k.ID, errMoving)
}

func keyMissing(id string) error { return fmt.Errorf("key %q: %w", id, ErrNotFound) }

// tryUpdateKey answers "ok", or when the key is not there under the hash of its ref any more
// "missing" or "leaving".
func (r *Redis) tryUpdateKey(ctx context.Context, k Key, life ref, write string) (updated Key, status string, err error) {
	found, err := r.readKeys(ctx, []namedKey{{k.ID, life}})
	if err != nil || len(found) == 0 || found[0].Hash != life.hash {
		return Key{}, "missing", err
	}
	// What an update cannot replace is the same for as long as nonce and hash are.
	updated = found[0].changed(k)
	text, err := encodeKey(updated)
	if err != nil {
		return Key{}, "", err
	}
	reply, err := updateKeyScript.Run(ctx, r.client, []string{hashKey(life.hash)}, life.nonce, write, text, k.Version).StringSlice()
	if err != nil || len(reply) != 2 {
		return Key{}, "", fmt.Errorf("update key %q: %w", k.ID, orCorrupt(err))
	}
	if reply[0] == "missing" || reply[0] == "leaving" {
		return Key{}, reply[0], nil
	}
	version, err := strconv.ParseInt(reply[1], 10, 64)
	if err != nil {
		return Key{}, "", fmt.Errorf("update key %q: version %q: %w", k.ID, reply[1], ErrCorrupt)
	}
	if reply[0] == "conflict" {
		return Key{}, "", keyConflict(k, version)
	}
	updated.Version = version
	return updated, reply[0], nil
}
