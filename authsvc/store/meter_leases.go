package store

import (
	"sync"
	"time"

	"github.com/stile-gate/stile/policy"
)

// leases are what a process has taken of counters whose limit's mode is LocalSync, before
// anybody asked for it, and may give out without asking the store. What has not been used
// for a while is given back.
//
// A lease was drawn from the counter like any other charge, so a quota of N allows N in all,
// in any number of processes. A rate can be exceeded for a moment, by the leases that are
// outstanding when its bucket has filled up again: in any time t it allows at most
//
//	burst + t/interval + the leases outstanding at its beginning
//
// and a process's lease is at most a quarter of the burst, and twice what it allowed in one
// syncInterval. The other way round, one process can be refused what another still holds, and
// gives back two intervals after it was last used: so a lease grows by a quarter of what is
// left at most, by nothing when that is below 4, and goes back where the store refused.
type leases struct {
	mu        sync.Mutex
	on        bool // Run is running
	byCounter map[counterID]*lease
}

type counterID struct {
	limit         *policy.Limit
	slot, counter string
}

// lease is of one counter. It is there while the counter is in use, even with nothing held.
type lease struct {
	charge policy.Charge
	held   int64
	used   int64 // what was allowed since the last sync
	// refused: the store refused since the last sync, so the next one gives all back.
	refused bool

	draw  draw      // of whose period it is held; a quota's end is by our clock
	taken int64     // of the draw's room, what is held included
	asOf  time.Time // when the store said so
}

// maxLeases bounds the counters with leases. What is above is decided exactly.
const maxLeases = 1 << 14

// spend decides about a slot by leases alone; nil where these do not say yes.
func (s *leases) spend(slot []policy.Charge, now time.Time) []policy.Balance {
	if !leasable(slot) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	balances := make([]policy.Balance, 0, len(slot))
	for i := range slot {
		l := s.byCounter[idOf(&slot[i])]
		if l == nil || !l.covers(&slot[i], now) {
			for j := range balances {
				s.byCounter[idOf(&slot[j])].take(-max(1, slot[j].Cost))
			}
			return nil
		}
		balances = append(balances, l.balance(&slot[i], now))
		l.take(max(1, slot[i].Cost))
	}
	return balances
}

// note remembers what the store decided, so that the next sync knows who needs a lease.
func (s *leases) note(slot []policy.Charge, balances []policy.Balance) {
	if !leasable(slot) {
		return
	}
	allowed := allAllowed(balances)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range slot {
		if l := s.of(&slot[i]); l != nil && i < len(balances) {
			l.refused = l.refused || !balances[i].Allowed
			if allowed {
				l.used += max(1, slot[i].Cost)
			}
		}
	}
}

func allAllowed(balances []policy.Balance) bool {
	for i := range balances {
		if !balances[i].Allowed {
			return false
		}
	}
	return true
}

func (s *leases) of(c *policy.Charge) *lease {
	id := idOf(c)
	l := s.byCounter[id]
	if l == nil && s.on && len(s.byCounter) < maxLeases {
		l = &lease{charge: *c}
		s.byCounter[id] = l
	}
	return l
}

// leasable: a slot with one exact limit is asked about anyway.
func leasable(slot []policy.Charge) bool {
	for i := range slot {
		if slot[i].Limit.Mode != policy.LocalSync {
			return false
		}
	}
	return true
}

func idOf(c *policy.Charge) counterID { return counterID{c.Limit, c.Slot, c.Counter} }

func (l *lease) covers(c *policy.Charge, now time.Time) bool {
	return l.held >= max(1, c.Cost) && (!l.draw.isQuota() || now.Before(l.draw.end))
}

func (l *lease) take(n int64) {
	l.held -= n
	l.used += n
}

// balance estimates how the counter stands, by what the store said last.
func (l *lease) balance(c *policy.Charge, now time.Time) policy.Balance {
	d, taken := l.draw, l.taken
	d.cost = max(1, c.Cost)
	if !d.isQuota() {
		taken -= max(0, now.Sub(l.asOf)).Microseconds()
	}
	b := d.balance(max(0, taken-l.held*d.unit), now, true)
	b.Allowed, b.RetryAfter = true, 0
	return b
}
