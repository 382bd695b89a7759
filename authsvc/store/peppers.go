package store

import (
	"context"
	"iter"

	"github.com/stile-gate/stile/policy"
)

// Peppers finds keys whichever pepper they were hashed with, since a hash cannot be made
// anew without its key. The others than the current one cost a question each, and only for
// a key that is not hashed with that.
type Peppers struct {
	Current policy.Pepper
	Old     []policy.Pepper
	Source
}

// Hashes are those under which a key may be stored: with the current pepper, with the old
// ones in their order, and without one, as keys were before there was any.
func (p Peppers) Hashes(presented policy.Secret) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !yield(p.Current.HashKey(presented)) || p.Current.Secret.IsZero() {
			return
		}
		for _, old := range p.Old {
			if !yield(old.HashKey(presented)) {
				return
			}
		}
		yield(policy.PlainKeyHash(presented))
	}
}

// Find finds a key and its consumer by what was presented; nil, nil when nobody has it. An
// error ends the search: behind it could stand another key.
func (p Peppers) Find(ctx context.Context, presented policy.Secret) (*Credential, error) {
	for hash := range p.Hashes(presented) {
		if found, err := p.Credential(ctx, hash); found != nil || err != nil {
			return found, err
		}
	}
	return nil, nil
}
