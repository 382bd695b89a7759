package store

import (
	"context"
	"maps"
	"sync"
	"time"
)

// revokedTokens are those of a Memory. The zero value has none.
type revokedTokens struct {
	mu    sync.RWMutex
	marks map[revoked]memoryMark
}

type memoryMark struct {
	before int64 // unix milliseconds, or always
	until  time.Time
}

// Revoke ends tokens. To do so again changes nothing.
func (m *Memory) Revoke(_ context.Context, rev Revocation) error {
	if err := rev.Validate(); err != nil {
		return err
	}
	now := m.Now()
	if _, err := rev.left(now); err != nil {
		return err
	}
	mark := rev.mark()
	t := &m.revoked
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.marks == nil {
		t.marks = map[revoked]memoryMark{}
	}
	maps.DeleteFunc(t.marks, func(_ revoked, held memoryMark) bool { return !now.Before(held.until) })
	held, ok := t.marks[mark.name]
	if !ok || mark.before > held.before {
		held.before = mark.before
	}
	if rev.Until.After(held.until) {
		held.until = rev.Until
	}
	t.marks[mark.name] = held
	return nil
}

// Revoked tells whether a token was revoked.
func (m *Memory) Revoked(_ context.Context, t TokenRef) (bool, error) {
	now := m.Now()
	m.revoked.mu.RLock()
	defer m.revoked.mu.RUnlock()
	for _, name := range t.names() {
		held, ok := m.revoked.marks[name]
		if ok && now.Before(held.until) && t.falls(held.before) {
			return true, nil
		}
	}
	return false, nil
}

// AllRevoked lists all that is revoked, as Revocation.ID writes it; false when that is more
// than most.
func (m *Memory) AllRevoked(_ context.Context, most int) (ids []string, all bool, err error) {
	now := m.Now()
	m.revoked.mu.RLock()
	defer m.revoked.mu.RUnlock()
	for name, held := range m.revoked.marks {
		if !now.Before(held.until) {
			continue
		}
		if len(ids) == most {
			return ids, false, nil
		}
		ids = append(ids, mark{name, held.before}.String())
	}
	return ids, true, nil
}
