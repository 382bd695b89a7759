package store

import (
	"iter"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/tidwall/btree"
)

// memoryValues are key-values that end with the process.
type memoryValues struct {
	turn sync.Mutex // of updates
	now  atomic.Pointer[memoryView]
}

// memoryView is how everything was at one moment. It does not change.
type memoryView map[bucket]*btree.Map[string, string]

func newMemoryValues() *memoryValues {
	empty := memoryView{}
	for _, b := range buckets {
		empty[b] = new(btree.Map[string, string])
	}
	m := &memoryValues{}
	m.now.Store(&empty)
	return m
}

func (m *memoryValues) view(look func(reader) error) error { return look(*m.now.Load()) }

func (m *memoryValues) update(work func(writer) error) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	tx := &memoryUpdate{memoryView: maps.Clone(*m.now.Load()), own: map[bucket]bool{}}
	if err := work(tx); err != nil {
		return err
	}
	m.now.Store(&tx.memoryView)
	return nil
}

func (*memoryValues) close() error { return nil }

func (v memoryView) get(in bucket, key string) (string, bool) { return v[in].Get(key) }

func (v memoryView) from(in bucket, key string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) { v[in].Ascend(key, yield) }
}

// memoryUpdate writes to copies of the buckets, which share what is not changed.
type memoryUpdate struct {
	memoryView
	own map[bucket]bool // those that are copies
}

func (u *memoryUpdate) put(in bucket, key, value string) { u.copyOf(in).Set(key, value) }

func (u *memoryUpdate) delete(in bucket, key string) { u.copyOf(in).Delete(key) }

func (u *memoryUpdate) copyOf(in bucket) *btree.Map[string, string] {
	if !u.own[in] {
		u.memoryView[in], u.own[in] = u.memoryView[in].Copy(), true
	}
	return u.memoryView[in]
}
