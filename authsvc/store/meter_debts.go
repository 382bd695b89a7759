package store

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stile-gate/stile/policy"
)

// debts are what a process allowed of quotas by itself, while the store did not answer: as
// soon as it does, they are taken of the counters that all share, so that an outage of an hour
// gives nobody an hour for nothing. A rate needs none: its bucket is full again soon.
type debts struct {
	mu        sync.Mutex
	on        bool // somebody pays
	byCounter map[string]*payment
	due       []*payment // perhaps sent, and not answered
}

// payment is what is taken of the count under a key, in a period that ends then.
type payment struct {
	key    string
	nonce  string
	count  int64
	expiry time.Time
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
		owed := s.byCounter[d.key]
		if owed == nil {
			if len(s.byCounter)+len(s.due) >= maxDebts {
				continue
			}
			owed = &payment{key: d.key, nonce: newNonce(), expiry: d.end.Add(quotaGrace)}
			s.byCounter[d.key] = owed
		}
		owed.count = min(owed.count+d.cost, d.room)
	}
}

// begin answers what is to be paid now. From here on it does not grow: what comes is another
// payment.
func (s *debts) begin(now time.Time) []*payment {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := s.due[:0]
	for _, p := range s.due {
		if now.Before(p.expiry) {
			due = append(due, p)
		}
	}
	for key, p := range s.byCounter {
		due = append(due, p)
		delete(s.byCounter, key)
	}
	s.due = due
	return due
}

// end keeps what was not answered for another time.
func (s *debts) end(unpaid []*payment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = unpaid
}

func (s *debts) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on, s.byCounter = true, map[string]*payment{}
}

// payScript takes a payment of a count, once however often it is sent.
// KEYS: count, mark of the payment. ARGV: how much, expiry of the count (unix time).
// Answers 1, or -2 when the value is not a number.
var payScript = redis.NewScript(`
local held = redis.call('GET', KEYS[1]) or '0'
if #held > 16 or held ~= '0' and not string.find(held, '^[1-9]%d*$') then return -2 end
if redis.call('SET', KEYS[2], '1', 'NX', 'EX', 3600) then
  redis.call('SET', KEYS[1], string.format('%d', held + ARGV[1]), 'EXAT', ARGV[2])
end
return 1
`)

// paidKey marks a payment, in the slot of its count.
func (p *payment) paidKey() string {
	slot, _, _ := strings.Cut(p.key, "}")
	return slot + "}:paid:" + p.nonce
}

// pay answers which payments got no answer. They may be sent again.
func (r *Redis) pay(ctx context.Context, due []*payment) (unpaid []*payment) {
	var err error
	defer r.observe("pay", time.Now(), &err)
	for some := range slices.Chunk(due, 512) {
		cmds := make([]*redis.Cmd, len(some))
		pipe := r.client.Pipeline()
		for i, p := range some {
			cmds[i] = payScript.Eval(ctx, pipe, []string{p.key, p.paidKey()}, p.count, p.expiry.Unix())
		}
		_, _ = pipe.Exec(ctx) // each command has its own error
		for i, p := range some {
			if failed := cmds[i].Err(); failed != nil {
				unpaid, err = append(unpaid, p), failed
			}
		}
	}
	return unpaid
}
