package store

import (
	"sync"
	"sync/atomic"
	"time"
)

// knownRevocations are the latest that were announced.
type knownRevocations struct {
	applied atomic.Uint64 // how many there were; written under mu, after what it counts

	mu    sync.RWMutex
	marks map[revoked]int64 // unix milliseconds up to which they end tokens, or always
	order []arrival         // of marks, a ring when it is full
	next  int               // the oldest of a full ring
	since []mark            // announced since begin; nil when nothing has begun
}

type arrival struct {
	name revoked
	at   time.Time
}

func newKnownRevocations(bound int) *knownRevocations {
	return &knownRevocations{marks: map[revoked]int64{}, order: make([]arrival, 0, bound)}
}

// end tells whether one of them ends the token.
func (k *knownRevocations) end(t TokenRef) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if len(k.marks) == 0 {
		return false
	}
	for _, name := range t.hashed.names {
		if before, ok := k.marks[name]; ok && t.falls(before) {
			return true
		}
	}
	return false
}

// add answers when the one that had to make room had come; the zero time when none had to.
func (k *knownRevocations) add(m mark, now time.Time) (pushedOut time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.applied.Add(1)
	if k.since != nil {
		k.since = append(k.since, m)
	}
	return k.put(m, now)
}

func (k *knownRevocations) put(m mark, now time.Time) (pushedOut time.Time) {
	if before, ok := k.marks[m.name]; ok {
		k.marks[m.name] = max(before, m.before)
		return time.Time{}
	}
	k.marks[m.name] = m.before
	newest := arrival{m.name, now}
	if len(k.order) < cap(k.order) {
		k.order = append(k.order, newest)
		return time.Time{}
	}
	oldest := k.order[k.next]
	delete(k.marks, oldest.name)
	k.order[k.next] = newest
	k.next = (k.next + 1) % len(k.order)
	return oldest.at
}

// begin comes before all that is revoked is read from the store, and replace after it.
func (k *knownRevocations) begin() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.since = []mark{}
}

// replace knows what was read, and what was announced meanwhile; false when some of it did
// not fit. What is in neither has come to its end.
func (k *knownRevocations) replace(read []mark, now time.Time) (all bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.applied.Add(1)
	k.marks, k.order, k.next = make(map[revoked]int64, len(read)), k.order[:0], 0
	all = true
	for _, marks := range [...][]mark{read, k.since} {
		for _, m := range marks {
			all = k.put(m, now).IsZero() && all
		}
	}
	k.since = nil
	return all
}
