package store

import (
	"sync"
	"time"

	"github.com/stile-gate/stile/policy"
)

// debts are what a process allowed of quotas by itself, while the store did not answer: as
// soon as it does, they are taken of the counters that all share, so that an outage of an hour
// gives nobody an hour for nothing. A rate needs none: its bucket is full again soon.
type debts struct {
	mu        sync.Mutex
	on        bool // somebody pays
	byCounter map[counterID]*debt
}

// debt is of one counter, in the period that starts then.
type debt struct {
	charge policy.Charge
	period time.Time
	count  int64
}

// maxDebts bounds the counters with debts. What is above is forgiven.
const maxDebts = 1 << 16

// add notes what was allowed of the quotas in a slot.
func (s *debts) add(slot []policy.Charge, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.on {
		return
	}
	for i := range slot {
		d := newDraw(&slot[i], now)
		if !d.isQuota() {
			continue
		}
		id := idOf(&slot[i])
		owed := s.byCounter[id]
		if owed == nil && len(s.byCounter) >= maxDebts {
			continue
		}
		if owed == nil || !owed.period.Equal(d.start) {
			owed = &debt{charge: slot[i], period: d.start}
			s.byCounter[id] = owed
		}
		owed.count = min(owed.count+d.cost, d.room)
	}
}

// loans takes all, as loans of which less than nothing is given back.
func (s *debts) loans() []*loan {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byCounter) == 0 {
		return nil
	}
	loans := make([]*loan, 0, len(s.byCounter))
	for _, owed := range s.byCounter {
		loans = append(loans, &loan{lease: &lease{charge: owed.charge}, back: -owed.count, period: owed.period})
	}
	s.byCounter = map[counterID]*debt{}
	return loans
}

// settle takes back what was not paid, because nobody was asked.
func (s *debts) settle(loans []*loan) {
	for _, n := range loans {
		if !n.asked && n.back != 0 {
			c := n.lease.charge
			c.Cost = -n.back
			s.add([]policy.Charge{c}, n.period)
		}
	}
}

func (s *debts) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on, s.byCounter = true, map[counterID]*debt{}
}
