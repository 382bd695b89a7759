package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stile-gate/stile/policy"
)

// MeterOptions say where a Meter counts.
type MeterOptions struct {
	// Remote is where all processes count together: Redis, File or Memory.
	Remote interface {
		Spend(context.Context, []policy.Charge) ([]policy.Balance, error)
		Peek(context.Context, []policy.Charge) ([]policy.Balance, error)
	}
	Now     func() time.Time // time.Now by default
	Timeout time.Duration    // of a question to Remote; 250ms by default
	// Count hears how each slot was decided: "exact" by the remote, "leased" by what the
	// process had taken of it before (policy.LocalSync); while the remote does not answer,
	// "local" by a counter of this process, "allowed" without one, or "error".
	Count func(result string)
}

// Meter is a policy.Meter that counts in a remote store, decides by leases of it where a
// limit's mode is LocalSync, and goes by each limit's OnStoreError while that does not
// answer. A slot whose value there is corrupt is an error, whatever the limits say.
type Meter struct {
	options MeterOptions
	local   counters
	leases  leases
	debts   debts
}

var _ policy.Meter = (*Meter)(nil)

// NewMeter makes a meter. Its leases need Run.
func NewMeter(o MeterOptions) *Meter {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Timeout == 0 {
		o.Timeout = 250 * time.Millisecond
	}
	if o.Count == nil {
		o.Count = func(string) {}
	}
	return &Meter{options: o}
}

// Spend spends charges, as policy.Meter says.
func (m *Meter) Spend(ctx context.Context, charges []policy.Charge) ([]policy.Balance, error) {
	return inSlots(charges, func(slot []policy.Charge) ([]policy.Balance, error) {
		if balances := m.leases.spend(slot, m.options.Now()); balances != nil {
			m.options.Count("leased")
			return balances, nil
		}
		balances, err := m.ask(ctx, slot, m.options.Remote.Spend, true)
		if err == nil {
			m.leases.note(slot, balances)
		}
		return balances, err
	})
}

// Peek answers what Spend would without leases, and spends nothing.
func (m *Meter) Peek(ctx context.Context, charges []policy.Charge) ([]policy.Balance, error) {
	return inSlots(charges, func(slot []policy.Charge) ([]policy.Balance, error) {
		return m.ask(ctx, slot, m.options.Remote.Peek, false)
	})
}

type question func(context.Context, []policy.Charge) ([]policy.Balance, error)

// ask asks the remote about a slot, and does without when it does not answer.
func (m *Meter) ask(ctx context.Context, slot []policy.Charge, remote question, spend bool) ([]policy.Balance, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx) // nobody waits for it
	}
	balances, err := m.askRemote(ctx, slot, remote)
	if err == nil {
		m.options.Count("exact")
		return balances, nil
	}
	if balances = m.without(slot, err, spend); balances == nil {
		m.options.Count("error")
		return nil, fmt.Errorf("meter: %w", err)
	}
	return balances, nil
}

// askRemote does not end with the request: a connection whose answer nobody reads is lost,
// and one client that goes away is no outage.
func (m *Meter) askRemote(ctx context.Context, slot []policy.Charge, remote question) ([]policy.Balance, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.options.Timeout)
	defer cancel()
	return remote(ctx, slot)
}

// without decides about a slot when the remote failed; nil where a limit denies then.
func (m *Meter) without(slot []policy.Charge, failure error, spend bool) []policy.Balance {
	if errors.Is(failure, ErrCorrupt) {
		return nil
	}
	var counted []policy.Charge
	for i := range slot {
		switch slot[i].Limit.OnStoreError {
		case policy.OnErrorLocal:
			counted = append(counted, slot[i])
		case policy.OnErrorAllow:
		default:
			return nil
		}
	}
	if len(counted) == 0 {
		m.options.Count("allowed")
	} else {
		m.options.Count("local")
	}
	now := m.options.Now()
	local := m.local.ask(counted, m.options.Now, spend)
	if spend && allAllowed(local) && !mayHaveRun(failure) {
		m.debts.add(slot, now)
	}
	balances := make([]policy.Balance, len(slot))
	for i := range slot {
		if slot[i].Limit.OnStoreError == policy.OnErrorLocal {
			balances[i], local = local[0], local[1:]
			continue
		}
		d := newDraw(&slot[i], now)
		balances[i] = d.balance(0, now, false)
		balances[i].Allowed, balances[i].RetryAfter = true, 0
	}
	return balances
}
