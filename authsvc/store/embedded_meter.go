package store

import (
	"context"

	"github.com/stile-gate/stile/policy"
)

// Spend spends charges as policy.Meter says. It never fails, and waits for no disk.
func (e *embedded) Spend(_ context.Context, charges []policy.Charge) ([]policy.Balance, error) {
	return e.meter.ask(charges, e.clock, true), nil
}

// Peek answers what Spend would, and spends nothing.
func (e *embedded) Peek(_ context.Context, charges []policy.Charge) ([]policy.Balance, error) {
	return e.meter.ask(charges, e.clock, false), nil
}
