package store

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// syncInterval is how often leases are renewed and given back.
const syncInterval = 100 * time.Millisecond

// lender is a remote that lends. Where the remote is none, every limit is exact.
type lender interface {
	lend(context.Context, []*loan)
	// pay answers which payments were not answered.
	pay(context.Context, []*payment) []*payment
}

// loan is what is done about one lease.
type loan struct {
	lease  *lease
	back   int64 // given back
	period time.Time
	wanted int64

	// What the lender answered; not made where nothing came of it.
	made  bool
	asked bool // it may have been given back, made or not
	lent  int64
	taken int64
	draw  draw
	now   time.Time // the lender's
}

// Run renews leases until the context ends, and then gives all back. Before and after it
// every limit is exact.
func (m *Meter) Run(ctx context.Context) {
	remote, ok := m.options.Remote.(lender)
	if !ok {
		<-ctx.Done()
		return
	}
	m.leases.start()
	m.debts.start()
	tick := time.NewTicker(syncInterval)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			m.sync(ctx, remote)
		case <-ctx.Done():
		}
	}
	m.leases.stop()
	m.sync(context.WithoutCancel(ctx), remote)
}

// sync pays debts, and asks for all leases at once. What is given back is lost where the
// remote fails, unless it was not asked at all.
func (m *Meter) sync(ctx context.Context, remote lender) {
	sent := m.options.Now()
	ctx, cancel := context.WithTimeout(ctx, max(time.Second, m.options.Timeout))
	defer cancel()
	if due := m.debts.begin(sent); len(due) > 0 {
		m.debts.end(remote.pay(ctx, due))
	}
	if loans := m.leases.loans(sent); len(loans) > 0 {
		remote.lend(ctx, loans)
		m.leases.settle(loans, sent)
	}
}

func (s *leases) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on, s.byCounter = true, map[counterID]*lease{}
}

func (s *leases) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = false
}

// loans begins a sync: what is to be given back cannot be spent from here on.
func (s *leases) loans(now time.Time) []*loan {
	s.mu.Lock()
	defer s.mu.Unlock()
	loans := make([]*loan, 0, len(s.byCounter))
	for id, l := range s.byCounter {
		if l.draw.limit != nil && l.draw.isQuota() && !now.Before(l.draw.end) {
			l.held = 0 // its period is over
		}
		if l.held == 0 && (l.used == 0 || !s.on) {
			delete(s.byCounter, id)
			continue
		}
		wanted := int64(0)
		if s.on && !l.refused {
			wanted = min(2*min(l.used, math.MaxInt64/2), mostLent(l))
		}
		n := &loan{lease: l, back: max(0, l.held-wanted), wanted: max(0, wanted-l.held), period: l.draw.start}
		l.held -= n.back
		l.used, l.refused = 0, false
		loans = append(loans, n)
	}
	return loans
}

func mostLent(l *lease) int64 {
	if l.charge.Limit.Quota.Count > 0 {
		return l.charge.Limit.Quota.Count / 4
	}
	return l.charge.Limit.Rate.Burst / 4
}

// settle ends a sync that was sent at a time of our clock. A quota's lease ends with its
// period: at the latest when our clock is ahead of that time by what was left of the period
// when the lender answered, which was later.
func (s *leases) settle(loans []*loan, sent time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range loans {
		l := n.lease
		if !n.asked {
			l.held += n.back
		}
		if !n.made {
			continue
		}
		if !n.draw.start.Equal(n.period) {
			l.held = 0 // that was of another period
		}
		l.held += n.lent
		l.draw, l.taken, l.asOf = n.draw, n.taken, sent
		if l.draw.isQuota() {
			l.draw.end = sent.Add(n.draw.end.Sub(n.now))
		}
	}
}

// lend makes loans in a few round trips. A loan whose value is corrupt, or whose period is
// over by the server's clock, is not made.
func (r *Redis) lend(ctx context.Context, loans []*loan) {
	var err error
	defer r.observe("lend", time.Now(), &err)
	for few := range slices.Chunk(loans, 512) {
		unloaded, failed := r.lendSome(ctx, "evalsha", lendScript.Hash(), few)
		if len(unloaded) > 0 {
			_, failed = r.lendSome(ctx, "eval", lendScript.text, unloaded)
		}
		if failed != nil {
			err = failed
		}
	}
}

// lendSome answers which loans the server did not know the script for, and what went wrong
// with any: in a cluster, that says nothing about the others.
func (r *Redis) lendSome(ctx context.Context, command, script string, loans []*loan) (unloaded []*loan, failed error) {
	pipe := r.client.Pipeline()
	cmds := make([]onceCmd, len(loans))
	for i, n := range loans {
		n.draw = newDraw(&n.lease.charge, r.meterClock.now(r.Now()))
		if !n.draw.start.Equal(n.period) {
			n.back = 0 // the counter that it was of is over
		}
		cmds[i] = lendCmd(command, script, n)
		_ = pipe.Process(ctx, cmds[i]) // it is only queued
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, n := range loans {
		answer, err := cmds[i].Result()
		if redis.HasErrorPrefix(err, "NOSCRIPT") {
			unloaded = append(unloaded, n)
			continue
		}
		if err != nil {
			n.asked = mayHaveRun(err)
			failed = meterError(err)
			continue
		}
		n.asked = true
		if now, err := r.readAnswer(answer, 2, []string{n.draw.key}); err == nil {
			n.made, n.now, n.taken, n.lent = true, now, answer[2], answer[3]
		}
	}
	return unloaded, failed
}

// mayHaveRun tells whether a script that writes once, at its end, may have been run: not if
// it was refused, by us or the server.
func mayHaveRun(err error) bool {
	var answer redis.Error
	return !errors.Is(err, errRefused) && !errors.As(err, &answer)
}

func lendCmd(command, script string, n *loan) onceCmd {
	d := n.draw
	keys, args := scriptOf([]draw{d})
	args[2] = n.back * d.unit
	return newOnce(command, script, keys, append(args, d.unit, n.wanted))
}
