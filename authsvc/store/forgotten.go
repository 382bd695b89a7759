package store

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// forgotten tells what a cache must not answer with any more. Nothing is searched for:
// every act of forgetting begins a new generation, an entry has the generation in which it
// was asked for, and when it is next looked at, it is gone if what it depends on was
// forgotten in a later one. So a thousand revocations in a second cost no more than a
// thousand numbers, and an answer that was under way meanwhile is judged alike: it may be
// older than the change.
type forgotten struct {
	all     atomic.Uint64 // everything of an older generation is gone
	unknown atomic.Uint64 // so is what was not found

	seed maphash.Seed
	// Ids share marks by their hash: forgetting one, of 65,536, makes a cache ask again
	// for a few others too.
	marks [1 << 16]atomic.Uint64

	mu         sync.Mutex
	generation atomic.Uint64 // written under mu, and so are the others
}

// dependence is the marks of what an entry depends on. A consumer is its own owner. (As an
// array it would not fit into registers.)
type dependence struct{ self, owner uint16 }

func (f *forgotten) keyMark(id string) uint16 { return uint16(maphash.String(f.seed, id)) }

func (f *forgotten) consumerMark(id string) uint16 { return uint16(maphash.String(f.seed, id) >> 16) }

// has tells whether what was asked for in a generation is gone.
func (f *forgotten) has(generation uint64, on dependence) bool {
	return generation < f.all.Load() || generation < f.marks[on.self].Load() || generation < f.marks[on.owner].Load()
}

// hasUnknown is has for what was not found.
func (f *forgotten) hasUnknown(generation uint64) bool { return generation < f.unknown.Load() }

// add begins a generation in which all that has one of these marks is gone.
func (f *forgotten) add(these ...*atomic.Uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	generation := f.generation.Add(1)
	for _, mark := range these {
		mark.Store(generation)
	}
}
