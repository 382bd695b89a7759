package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Memory is a store that ends with the process: for demonstrations and tests.
type Memory struct {
	// Now is the clock; set it before the first use.
	Now func() time.Time

	mu        sync.RWMutex
	consumers map[string]Consumer  // by id
	keys      map[string]Key       // by id
	used      map[string]time.Time // when keys were used last, by id
	byHash    map[string]string    // a key's hash to its id
	byCustom  map[string]string    // a custom id to the consumer's id
	versions  map[string]int64     // the last one of each consumer; outlives it
	meter     counters             // has a lock of its own

	revoked revokedTokens
	trail   auditTrail
}

// NewMemory makes an empty store.
func NewMemory() *Memory {
	return &Memory{
		Now:       time.Now,
		consumers: map[string]Consumer{}, keys: map[string]Key{}, used: map[string]time.Time{},
		byHash: map[string]string{}, byCustom: map[string]string{}, versions: map[string]int64{},
	}
}

// Ping always succeeds.
func (m *Memory) Ping(context.Context) error { return nil }

// Close does nothing.
func (m *Memory) Close() error { return nil }

// Credential finds a key and its consumer by the key's hash; nil, nil when there is none.
func (m *Memory) Credential(_ context.Context, hash string) (*Credential, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	id, ok := m.byHash[hash]
	if !ok {
		return nil, nil
	}
	key := m.keys[id]
	return &Credential{Key: key.clone(), Consumer: m.consumers[key.Consumer].clone().Consumer}, nil
}

// Consumer finds a consumer; nil, nil when there is none.
func (m *Memory) Consumer(_ context.Context, id string) (*Consumer, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c, ok := m.consumers[id]
	if !ok {
		return nil, nil
	}
	c = c.clone()
	return &c, nil
}

// Consumers lists those whose id comes after the given one, in the order of ids.
func (m *Memory) Consumers(_ context.Context, after string, limit int) ([]Consumer, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var list []Consumer
	for _, id := range page(slices.Collect(maps.Keys(m.consumers)), after, limit) {
		list = append(list, m.consumers[id].clone())
	}
	return list, nil
}

// CreateConsumer stores a new consumer: ErrExists when its id or custom id is taken.
func (m *Memory) CreateConsumer(_ context.Context, c Consumer) (Consumer, error) {
	if err := c.Validate(); err != nil {
		return Consumer{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.consumers[c.ID]; ok {
		return Consumer{}, fmt.Errorf("consumer %q: %w", c.ID, ErrExists)
	}
	if err := m.freeCustomID(c); err != nil {
		return Consumer{}, err
	}
	c.Created = plainTime(m.Now())
	return m.put(c), nil
}

// UpdateConsumer replaces a consumer: ErrNotFound when there is none, ErrConflict when
// its version is not c's, unless that is 0, and ErrExists when the custom id is taken.
func (m *Memory) UpdateConsumer(_ context.Context, c Consumer) (Consumer, error) {
	if err := c.Validate(); err != nil {
		return Consumer{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.consumers[c.ID]
	if !ok {
		return Consumer{}, fmt.Errorf("consumer %q: %w", c.ID, ErrNotFound)
	}
	if c.Version != 0 && c.Version != old.Version {
		return Consumer{}, versionConflict(c, old.Version)
	}
	if err := m.freeCustomID(c); err != nil {
		return Consumer{}, err
	}
	delete(m.byCustom, old.CustomID)
	c.Created = old.Created
	return m.put(c), nil
}

func versionConflict(c Consumer, stored int64) error {
	return fmt.Errorf("consumer %q has version %d, not %d: %w", c.ID, stored, c.Version, ErrConflict)
}

func (m *Memory) freeCustomID(c Consumer) error {
	if owner, ok := m.byCustom[c.CustomID]; ok && owner != c.ID {
		return customIDTaken(c)
	}
	return nil
}

func customIDTaken(c Consumer) error {
	return fmt.Errorf("custom id %q: %w", c.CustomID, ErrExists)
}

func (m *Memory) put(c Consumer) Consumer {
	c = c.clone()
	m.versions[c.ID]++
	c.Version, c.Updated = m.versions[c.ID], plainTime(m.Now())
	m.consumers[c.ID] = c
	if c.CustomID != "" {
		m.byCustom[c.CustomID] = c.ID
	}
	return c.clone()
}

// DeleteConsumer deletes a consumer and all its keys: ErrNotFound when there is none.
func (m *Memory) DeleteConsumer(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.consumers[id]
	if !ok {
		return fmt.Errorf("consumer %q: %w", id, ErrNotFound)
	}
	for _, key := range m.keys {
		if key.Consumer == id {
			m.drop(key)
		}
	}
	delete(m.byCustom, c.CustomID)
	delete(m.consumers, id)
	return nil
}

// page cuts what comes after an id, at most limit, out of ids.
func page(ids []string, after string, limit int) []string {
	slices.Sort(ids)
	start, found := slices.BinarySearch(ids, after)
	if found {
		start++
	}
	ids = ids[start:]
	return ids[:min(len(ids), limitOrDefault(limit))]
}
