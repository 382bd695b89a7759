package store

import (
	"context"
	"slices"
	"sync"
)

// auditTrail is the audit of a Memory. The zero value is empty.
type auditTrail struct {
	mu      sync.RWMutex
	entries []AuditEntry
}

// end is under mu.
func (t *auditTrail) end() AuditHead {
	if len(t.entries) == 0 {
		return AuditHead{}
	}
	return t.entries[len(t.entries)-1].head()
}

// AppendAudit adds a record to the end of the chain.
func (m *Memory) AppendAudit(_ context.Context, r AuditRecord) (AuditEntry, error) {
	m.trail.mu.Lock()
	defer m.trail.mu.Unlock()
	e := r.after(m.trail.end(), m.Now())
	m.trail.entries = append(m.trail.entries, e)
	return e, nil
}

// AuditEntries lists the entries after a seq, in their order.
func (m *Memory) AuditEntries(_ context.Context, after int64, limit int) ([]AuditEntry, error) {
	m.trail.mu.RLock()
	defer m.trail.mu.RUnlock()
	rest := m.trail.entries[min(max(after, 0), int64(len(m.trail.entries))):]
	return slices.Clone(rest[:min(len(rest), limitOrDefault(limit))]), nil
}

// AuditHead is where the chain ends.
func (m *Memory) AuditHead(context.Context) (AuditHead, error) {
	m.trail.mu.RLock()
	defer m.trail.mu.RUnlock()
	return m.trail.end(), nil
}
