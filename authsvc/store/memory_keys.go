package store

import (
	"context"
	"fmt"
	"time"
)

// CreateKey stores a new key: ErrExists when its id or hash is taken, ErrNotFound when
// its consumer is not there.
func (m *Memory) CreateKey(_ context.Context, k Key) error {
	if err := k.Validate(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.byHash[k.Hash]; ok {
		return hashTaken(k)
	}
	if _, ok := m.keys[k.ID]; ok {
		return fmt.Errorf("key %q: %w", k.ID, ErrExists)
	}
	if _, ok := m.consumers[k.Consumer]; !ok {
		return fmt.Errorf("consumer %q: %w", k.Consumer, ErrNotFound)
	}
	if k.Created.IsZero() {
		k.Created = m.Now()
	}
	k.Version, k.LastUsed = 1, time.Time{}
	m.keys[k.ID], m.byHash[k.Hash] = k.clone(), k.ID
	return nil
}

// UpdateKey replaces all of a key but its hash, consumer, lineage, creation and whether it
// is opaque: ErrNotFound when there is none, ErrConflict when its version is not k's,
// unless that is 0.
func (m *Memory) UpdateKey(_ context.Context, k Key) (Key, error) {
	if err := k.validateChange(); err != nil {
		return Key{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.keys[k.ID]
	if !ok {
		return Key{}, fmt.Errorf("key %q: %w", k.ID, ErrNotFound)
	}
	if k.Version != 0 && k.Version != old.Version {
		return Key{}, keyConflict(k, old.Version)
	}
	k = old.changed(k)
	k.Version = old.Version + 1
	m.keys[k.ID] = k
	return k.clone(), nil
}

// RehashKey makes a key that is stored under one hash be stored under another, of a pepper
// of a higher version: ErrNotFound when there is none under the first, ErrExists when the
// other is taken by another key. A second time it does nothing.
func (m *Memory) RehashKey(_ context.Context, id, from, to string) error {
	if err := checkRehash(id, from, to); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.keys[id]
	switch {
	case !ok:
		return keyMissing(id)
	case k.Hash == to:
		return nil
	case k.Hash != from:
		return notUnder(id)
	}
	if _, taken := m.byHash[to]; taken {
		return fmt.Errorf("move key %q to another hash: %w", id, errHashTaken)
	}
	delete(m.byHash, from)
	k.Hash = to
	m.keys[id], m.byHash[to] = k, id
	return nil
}

// hashTaken does not say whose the hash is: the same key under two ids is nobody's to know.
func hashTaken(k Key) error {
	return fmt.Errorf("the hash of key %q: %w", k.ID, ErrExists)
}

// Key finds a key by its id; nil, nil when there is none.
func (m *Memory) Key(_ context.Context, id string) (*Key, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	k, ok := m.keys[id]
	if !ok {
		return nil, nil
	}
	k = k.clone()
	k.LastUsed = m.used[id]
	return &k, nil
}

// Keys lists the keys of a consumer, or of all when it is "", whose id comes after the
// given one, in the order of ids.
func (m *Memory) Keys(_ context.Context, consumer, after string, limit int) ([]Key, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var ids []string
	for id, k := range m.keys {
		if consumer == "" || k.Consumer == consumer {
			ids = append(ids, id)
		}
	}
	var list []Key
	for _, id := range page(ids, after, limit) {
		k := m.keys[id].clone()
		k.LastUsed = m.used[id]
		list = append(list, k)
	}
	return list, nil
}

// RevokeKey deletes a key, and Credential finds it no more: ErrNotFound when there is none.
func (m *Memory) RevokeKey(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.keys[id]
	if !ok {
		return fmt.Errorf("key %q: %w", id, ErrNotFound)
	}
	m.drop(k)
	return nil
}

// drop forgets all of a key. The caller holds the lock.
func (m *Memory) drop(k Key) {
	delete(m.byHash, k.Hash)
	delete(m.keys, k.ID)
	delete(m.used, k.ID)
}

// MarkUsed notes when keys were used last. Keys that are not there are left out.
func (m *Memory) MarkUsed(_ context.Context, uses []Use) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, u := range uses {
		if k, ok := m.keys[u.Key]; ok && k.Consumer == u.Consumer && u.At.After(m.used[u.Key]) {
			m.used[u.Key] = u.At
		}
	}
	return nil
}
