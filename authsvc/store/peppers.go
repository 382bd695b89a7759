package store

import (
	"context"
	"iter"

	"github.com/stile-gate/stile/policy"
)

// Peppers finds keys whichever pepper they were hashed with, since a hash cannot be made
// anew without its key. The others than the current one cost a question each, and only for
// a key that is not hashed with that. A key that is found under another is at hand, so it is
// moved to the current one; of what the configuration file declares nothing comes here, and
// keys of other systems are hashed as our own are.
type Peppers struct {
	Current policy.Pepper
	Old     []policy.Pepper
	Source
	Rehash *Rehasher // nil for none
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
//
// A key may move while it is searched for: the current hash was asked before the key came
// there, and the one of before after it had left. It is under the current one before it
// leaves another, so asking for that once more at the end finds it.
func (p Peppers) Find(ctx context.Context, presented policy.Secret) (*Credential, error) {
	var current, last string
	for hash := range p.Hashes(presented) {
		if current == "" {
			current = hash
		}
		last = hash
		found, err := p.Credential(ctx, hash)
		if err != nil {
			return nil, err
		}
		if found != nil {
			p.Rehash.want(found.Key.ID, hash, current)
			return found, nil
		}
	}
	if last == current { // there is no other that it could have come from
		return nil, nil
	}
	return p.Credential(ctx, current)
}
