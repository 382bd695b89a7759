package store

import (
	"sync"
	"time"

	"github.com/stile-gate/stile/policy"
)

// maxCounters bounds the counters of one process.
const maxCounters = 1 << 17

// counters are those of one process. The zero value has none.
type counters struct {
	mu    sync.Mutex
	byKey map[string]counter
	swept time.Time

	// changed are those that somebody who keeps them has not taken since; nil while nobody does.
	changed map[string]struct{}
}

// counter is what Redis would hold under its key: the time in microseconds at which a
// bucket is full, or a count.
type counter struct {
	value   int64
	expires time.Time
}

func (c *counters) ask(charges []policy.Charge, clock func() time.Time, spend bool) []policy.Balance {
	balances, _ := inSlots(charges, func(slot []policy.Charge) ([]policy.Balance, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.askSlot(slot, clock(), spend), nil
	})
	return balances
}

func (c *counters) askSlot(charges []policy.Charge, now time.Time, spend bool) []policy.Balance {
	draws, of := drawsOf(charges, now)
	taken, fit := make([]int64, len(draws)), true
	for i := range draws {
		taken[i] = c.taken(&draws[i], now)
		fit = fit && draws[i].fits(taken[i])
	}
	for i := range draws {
		switch {
		case fit && spend:
			c.put(&draws[i], taken[i]+draws[i].step(), now)
		case spend && taken[i] == draws[i].room && !draws[i].isQuota():
			c.put(&draws[i], taken[i], now) // where the clock was set back, it is full too late
		}
	}
	balances := make([]policy.Balance, len(charges))
	for i, d := range of {
		balances[i] = draws[d].balance(taken[d], now, fit)
	}
	return balances
}

func (c *counters) taken(d *draw, now time.Time) int64 {
	at, ok := c.byKey[d.key]
	switch {
	case !ok || !now.Before(at.expires):
		return 0
	case d.isQuota():
		return at.value
	}
	return min(max(0, at.value-now.UnixMicro()), d.room)
}

func (c *counters) put(d *draw, taken int64, now time.Time) {
	at := counter{value: taken, expires: d.end.Add(quotaGrace)}
	if !d.isQuota() {
		at.value = now.UnixMicro() + taken
		at.expires = time.UnixMicro(at.value)
	}
	c.set(d.key, at, now)
}

func (c *counters) set(key string, at counter, now time.Time) {
	if _, known := c.byKey[key]; !known {
		c.makeRoom(now)
	}
	c.byKey[key] = at
	if c.changed != nil {
		c.changed[key] = struct{}{}
	}
}

func (c *counters) drop(key string) {
	delete(c.byKey, key)
	delete(c.changed, key)
}

// makeRoom drops what has expired, now and then; where all that is there is in use, the
// one of a few that expires first, which takes the least with it.
func (c *counters) makeRoom(now time.Time) {
	if c.byKey == nil {
		c.byKey = map[string]counter{}
	}
	if since := now.Sub(c.swept); since < 0 || since > time.Minute {
		c.swept = now
		for key, at := range c.byKey {
			if !now.Before(at.expires) {
				c.drop(key)
			}
		}
	}
	for len(c.byKey) >= maxCounters {
		c.drop(c.firstToExpire(8))
	}
}

// firstToExpire is that of a few counters that the map's order of the day puts first.
func (c *counters) firstToExpire(few int) (first string) {
	var expires time.Time
	for key, at := range c.byKey {
		if first == "" || at.expires.Before(expires) {
			first, expires = key, at.expires
		}
		if few--; few == 0 {
			break
		}
	}
	return first
}
