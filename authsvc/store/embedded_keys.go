package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Credential finds a key and its consumer by the key's hash; nil, nil when there is none.
func (e *embedded) Credential(ctx context.Context, hash string) (*Credential, error) {
	return ask(ctx, e, "credential", func(tx reader) (*Credential, error) {
		id, ok := tx.get(hashBucket, hash)
		if !ok {
			return nil, nil
		}
		k, err := keyByID(tx, id)
		if err != nil {
			return nil, err
		}
		if k == nil || k.Hash != hash {
			return nil, fmt.Errorf("key %q is not stored with its hash: %w", id, ErrCorrupt)
		}
		c, err := consumerByID(tx, k.Consumer)
		if err != nil {
			return nil, err
		}
		if c == nil {
			return nil, fmt.Errorf("key %q is of consumer %q, which is not there: %w", id, k.Consumer, ErrCorrupt)
		}
		return &Credential{Key: *k, Consumer: c.Consumer.Consumer}, nil
	})
}

// Key finds a key by its id; nil, nil when there is none.
func (e *embedded) Key(ctx context.Context, id string) (*Key, error) {
	return ask(ctx, e, "key", func(tx reader) (*Key, error) {
		k, err := keyByID(tx, id)
		if k == nil || err != nil {
			return nil, err
		}
		used, err := withUse(tx, *k)
		return &used, err
	})
}

// Keys lists the keys of a consumer, or of all when it is "", whose id comes after the
// given one, in the order of ids.
func (e *embedded) Keys(ctx context.Context, consumer, afterID string, limit int) ([]Key, error) {
	return ask(ctx, e, "keys", func(tx reader) ([]Key, error) {
		if consumer == "" {
			return allKeys(tx, afterID, limitOrDefault(limit))
		}
		return consumerKeys(tx, consumer, afterID, limitOrDefault(limit))
	})
}

func allKeys(tx reader, afterID string, limit int) (list []Key, err error) {
	for id, value := range tx.from(keyBucket, after(afterID)) {
		k, err := parseKey(id, value)
		if err == nil {
			k, err = withUse(tx, k)
		}
		if err != nil {
			return nil, err
		}
		if list = append(list, k); len(list) == limit {
			break
		}
	}
	return list, nil
}

func consumerKeys(tx reader, consumer, afterID string, limit int) (list []Key, err error) {
	prefix := memberPrefix(consumer)
	for name, minute := range tx.from(memberBucket, prefix+after(afterID)) {
		id, ok := strings.CutPrefix(name, prefix)
		if !ok {
			break
		}
		k, err := keyByID(tx, id)
		switch {
		case err != nil:
			return nil, err
		case k == nil || k.Consumer != consumer:
			return nil, fmt.Errorf("key %q is not that of consumer %q: %w", id, consumer, ErrCorrupt)
		}
		if err := k.setUse(minute); err != nil {
			return nil, err
		}
		if list = append(list, *k); len(list) == limit {
			break
		}
	}
	return list, nil
}

// CreateKey stores a new key: ErrExists when its id or hash is taken, ErrNotFound when
// its consumer is not there.
func (e *embedded) CreateKey(ctx context.Context, k Key) error {
	if err := k.Validate(); err != nil {
		return err
	}
	k = k.clone()
	if k.Created.IsZero() {
		k.Created = plainTime(e.clock())
	}
	k.Version, k.LastUsed = 1, time.Time{}
	_, err := write(ctx, e, "create_key", func(tx writer) (none struct{}, err error) {
		if _, ok := tx.get(hashBucket, k.Hash); ok {
			return none, hashTaken(k)
		}
		if _, ok := tx.get(keyBucket, k.ID); ok {
			return none, fmt.Errorf("key %q: %w", k.ID, ErrExists)
		}
		return none, addKey(tx, k)
	})
	return err
}

// addKey writes a key whose id and hash are free: ErrNotFound when its consumer is not there.
func addKey(tx writer, k Key) error {
	if _, ok := tx.get(consumerBucket, k.Consumer); !ok {
		return fmt.Errorf("consumer %q: %w", k.Consumer, ErrNotFound)
	}
	if err := putKey(tx, k); err != nil {
		return err
	}
	tx.put(hashBucket, k.Hash, k.ID)
	tx.put(memberBucket, memberKey(k.Consumer, k.ID), k.use())
	return nil
}

func putKey(tx writer, k Key) error {
	value, err := keyValue(k)
	if err == nil {
		tx.put(keyBucket, k.ID, value)
	}
	return err
}

// hashTaken does not say whose the hash is: the same key under two ids is nobody's to know.
func hashTaken(k Key) error {
	return fmt.Errorf("the hash of key %q: %w", k.ID, ErrExists)
}

// UpdateKey replaces all of a key but its hash, consumer, lineage, creation and whether it
// is opaque: ErrNotFound when there is none, ErrConflict when its version is not k's,
// unless that is 0.
func (e *embedded) UpdateKey(ctx context.Context, k Key) (Key, error) {
	if err := k.validateChange(); err != nil {
		return Key{}, err
	}
	return write(ctx, e, "update_key", func(tx writer) (Key, error) {
		old, err := keyByID(tx, k.ID)
		switch {
		case err != nil:
			return Key{}, err
		case old == nil:
			return Key{}, keyMissing(k.ID)
		case k.Version != 0 && k.Version != old.Version:
			return Key{}, keyConflict(k, old.Version)
		}
		updated := old.changed(k)
		updated.Version = old.Version + 1
		return updated, putKey(tx, updated)
	})
}

// RehashKey makes a key that is stored under one hash be stored under another, of a pepper
// of a higher version: ErrNotFound when there is none under the first, ErrExists when the
// other is taken by another key. A second time it does nothing.
func (e *embedded) RehashKey(ctx context.Context, id, from, to string) error {
	if err := checkRehash(id, from, to); err != nil {
		return err
	}
	_, err := write(ctx, e, "rehash_key", func(tx writer) (none struct{}, err error) {
		k, err := keyByID(tx, id)
		switch {
		case err != nil:
			return none, err
		case k == nil:
			return none, keyMissing(id)
		case k.Hash == to:
			return none, nil
		case k.Hash != from:
			return none, notUnder(id)
		}
		if _, taken := tx.get(hashBucket, to); taken {
			return none, fmt.Errorf("move key %q to another hash: %w", id, errHashTaken)
		}
		k.Hash = to
		if err := putKey(tx, *k); err != nil {
			return none, err
		}
		tx.delete(hashBucket, from)
		tx.put(hashBucket, to, id)
		return none, nil
	})
	return err
}

// RevokeKey deletes a key, and Credential finds it no more: ErrNotFound when there is none.
func (e *embedded) RevokeKey(ctx context.Context, id string) error {
	_, err := write(ctx, e, "revoke_key", func(tx writer) (none struct{}, err error) {
		k, err := keyByID(tx, id)
		if err != nil {
			return none, err
		}
		if k == nil {
			return none, keyMissing(id)
		}
		dropKey(tx, *k)
		return none, nil
	})
	return err
}

// dropKey forgets all of a key.
func dropKey(tx writer, k Key) {
	tx.delete(hashBucket, k.Hash)
	tx.delete(keyBucket, k.ID)
	tx.delete(memberBucket, memberKey(k.Consumer, k.ID))
}

// usesAtOnce bounds a transaction of MarkUsed, for which other writers wait.
const usesAtOnce = 5000

// MarkUsed notes when keys were used last. Keys that are not there are left out.
func (e *embedded) MarkUsed(ctx context.Context, uses []Use) error {
	for some := range slices.Chunk(uses, usesAtOnce) {
		_, err := write(ctx, e, "mark_used", func(tx writer) (none struct{}, err error) {
			for _, u := range some {
				if err := markUsed(tx, u); err != nil {
					return none, err
				}
			}
			return none, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func markUsed(tx writer, u Use) error {
	member := memberKey(u.Consumer, u.Key)
	held, ok := tx.get(memberBucket, member)
	if !ok {
		return nil
	}
	var before Key
	if err := before.setUse(held); err != nil {
		return err
	}
	if u.At.After(before.LastUsed) {
		tx.put(memberBucket, member, Key{LastUsed: u.At}.use())
	}
	return nil
}
