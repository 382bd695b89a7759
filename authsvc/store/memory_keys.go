package store

import (
	"context"
	"fmt"
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
	m.keys[k.ID], m.byHash[k.Hash] = k.clone(), k.ID
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
		list = append(list, m.keys[id].clone())
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
	delete(m.byHash, k.Hash)
	delete(m.keys, id)
	return nil
}
