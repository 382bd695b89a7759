package main

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/cmd/stile/config"
	"github.com/stile-gate/stile/policy"
)

// counter is what a store does for limits.
type counter interface {
	Spend(context.Context, []policy.Charge) ([]policy.Balance, error)
	Peek(context.Context, []policy.Charge) ([]policy.Balance, error)
}

// newMeter makes the meter of a process. It outlives reloads, for its counters do.
func newMeter(remote counter, m *metrics) *store.Meter {
	return store.NewMeter(store.MeterOptions{Remote: remote, Count: m.countLimit})
}

// peek is a meter for dry runs: it spends nothing, and says how a request would leave it.
type peek struct{ counter }

func (p peek) Spend(ctx context.Context, charges []policy.Charge) ([]policy.Balance, error) {
	return p.Peek(ctx, charges)
}

// limitsOf makes the limits of a configuration, by name. One that is as it was stays the
// same one, and so do the leases that the meter holds of it.
func limitsOf(c *config.Config, old *program) map[string]*policy.Limit {
	limits := make(map[string]*policy.Limit, len(c.Limits))
	for name, l := range c.Limits {
		limits[name] = l.Policy(name)
		if old != nil && reflect.DeepEqual(old.limits[name], limits[name]) {
			limits[name] = old.limits[name]
		}
	}
	return limits
}

// sorted are the limits in the order of their names.
func sorted(limits map[string]*policy.Limit) []*policy.Limit {
	all := make([]*policy.Limit, 0, len(limits))
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		all = append(all, limits[name])
	}
	return all
}

// attemptsOf makes the throttle, nil for none. As long as its option is the same, what it
// has counted stays: a reload is no pardon.
func attemptsOf(c *config.Config, old *program) *policy.Attempts {
	rate, on := c.Throttle.Rate()
	if !on {
		return nil
	}
	if old != nil && old.attempts != nil {
		if before, _ := old.config.Throttle.Rate(); before == rate {
			return old.attempts
		}
	}
	return policy.NewAttempts(rate, time.Now)
}
