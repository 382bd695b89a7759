package storetest

import (
	"strings"
	"testing"
)

// Move is a slot on its way from one master of a cluster to another. Its keys go one by one:
// who asks the first for one that has gone, or was never there, is sent to the second.
type Move struct {
	From, To *Redis

	nodes []*Redis
	slot  any
}

// Begin begins to move the slot of a key.
func (c *Cluster) Begin(t testing.TB, key string, to *Redis) *Move {
	t.Helper()
	from := c.MasterOf(t, key)
	m := &Move{From: from, To: to, nodes: c.Nodes, slot: from.do(t, "cluster", "keyslot", key)}
	to.do(t, "cluster", "setslot", m.slot, "importing", from.id(t))
	from.do(t, "cluster", "setslot", m.slot, "migrating", to.id(t))
	return m
}

// Key moves keys, those of them that are there.
func (m *Move) Key(t testing.TB, keys ...string) {
	t.Helper()
	host, port, _ := strings.Cut(m.To.Addr, ":")
	args := []any{"migrate", host, port, "", 0, 5000}
	if m.From.acl != "" {
		args = append(args, "auth2", adminUser, password)
	}
	args = append(args, "keys")
	for _, key := range keys {
		args = append(args, key)
	}
	m.From.do(t, args...)
}

// Keys are those that have not been moved yet, and any that were made since.
func (m *Move) Keys(t testing.TB) (keys []string) {
	t.Helper()
	for _, key := range m.From.do(t, "cluster", "getkeysinslot", m.slot, 1000).([]any) {
		keys = append(keys, key.(string))
	}
	return keys
}

// End moves the keys that are left, and then the slot.
func (m *Move) End(t testing.TB) {
	t.Helper()
	for keys := m.Keys(t); len(keys) > 0; keys = m.Keys(t) {
		m.Key(t, keys...)
	}
	id := m.To.id(t)
	m.To.do(t, "cluster", "setslot", m.slot, "node", id)
	m.From.do(t, "cluster", "setslot", m.slot, "node", id)
	for _, n := range m.nodes {
		if n == m.To || n == m.From || n.ended() {
			continue
		}
		_ = n.admin.Do(t.Context(), "cluster", "setslot", m.slot, "node", id).Err() // a replica refuses, and hears of it soon
	}
}
