package store

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// knownRevocations are those that were listed, and the latest that were announced.
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

func (k *knownRevocations) put(m mark, at time.Time) (pushedOut time.Time) {
	if before, ok := k.marks[m.name]; ok {
		k.marks[m.name] = max(before, m.before)
		return time.Time{}
	}
	k.marks[m.name] = m.before
	newest := arrival{m.name, at}
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

// begin comes before all that is revoked is read from the store, and take after it.
func (k *knownRevocations) begin() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.since = []mark{}
}

// take knows what was read, and what was announced meanwhile; false when some of it did not
// fit. What was known before and is in neither has come to its end, or a store has lost it: it
// stays as long as there is room.
func (k *knownRevocations) take(read []mark, now time.Time) (all bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.applied.Add(1)
	stands := slices.Concat(read, k.since)
	k.since = nil
	all = k.makeRoom(stands)
	for _, m := range stands {
		k.put(m, now)
	}
	return all
}

// makeRoom forgets the oldest of what does not stand, as far as there must be room for what
// does; false when there cannot be.
func (k *knownRevocations) makeRoom(stands []mark) bool {
	standing := make(map[revoked]bool, len(stands))
	more := 0
	for _, m := range stands {
		if _, known := k.marks[m.name]; !known && !standing[m.name] {
			more++
		}
		standing[m.name] = true
	}
	excess := len(k.order) + more - cap(k.order)
	oldestFirst := slices.Concat(k.order[k.next:], k.order[:k.next])
	k.order, k.next = k.order[:0], 0
	for _, a := range oldestFirst {
		if excess > 0 && !standing[a.name] {
			delete(k.marks, a.name)
			excess--
			continue
		}
		k.order = append(k.order, a)
	}
	return excess <= 0
}
