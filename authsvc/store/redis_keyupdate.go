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
	life, err := r.keyRef(ctx, k.ID)
	if err != nil {
		return Key{}, err
	}
	missing := fmt.Errorf("key %q: %w", k.ID, ErrNotFound)
	if life == nil {
		return Key{}, missing
	}
	found, err := r.readKeys(ctx, []namedKey{{k.ID, *life}})
	if err != nil {
		return Key{}, err
	}
	if len(found) == 0 {
		return Key{}, missing
	}
	// What an update cannot replace is the same for as long as the nonce is.
	text, err := encodeKey(found[0].changed(k))
	if err != nil {
		return Key{}, err
	}
	reply, err := updateKeyScript.Run(ctx, r.client, []string{hashKey(life.hash)}, life.nonce, newNonce(), text, k.Version).StringSlice()
	if err != nil || len(reply) != 2 {
		return Key{}, fmt.Errorf("update key %q: %w", k.ID, orCorrupt(err))
	}
	if reply[0] == "missing" {
		return Key{}, missing
	}
	version, err := strconv.ParseInt(reply[1], 10, 64)
	if err != nil {
		return Key{}, fmt.Errorf("update key %q: version %q: %w", k.ID, reply[1], ErrCorrupt)
	}
	if reply[0] == "conflict" {
		return Key{}, keyConflict(k, version)
	}
	updated = found[0].changed(k)
	updated.Version = version
	return updated, nil
}
