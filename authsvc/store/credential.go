package store

import (
	"slices"
	"strings"

	"github.com/stile-gate/stile/policy"
)

// KindKey is the kind of policy.Ref that an API key proves; its id is the key's.
const KindKey = "key"

// Credential is what one look-up by a key's hash finds. Read only once it is handed out.
type Credential struct {
	Key      Key
	Consumer policy.Consumer
}

// Identity is what the key proves, as the cache keeps it: in three pieces of memory. There
// are hundreds of thousands of these. Each piece more is one more for the garbage collector
// to visit, and one more that is far away when a request needs it.
func (c *Credential) Identity() *policy.Identity {
	kept := &struct {
		policy.Identity
		consumer policy.Consumer
	}{
		Identity: policy.Identity{
			Ref:        policy.Ref{Kind: KindKey, ID: c.Key.ID},
			ConsumerID: c.Key.Consumer,
			Disabled:   c.Key.Disabled,
			NotBefore:  c.Key.NotBefore,
			Expires:    c.Key.ExpiresAt,
			Networks:   slices.Clone(c.Key.Networks),
			Lineage:    c.Key.Lineage,
			Rotating:   c.Key.ReplacedBy != "",
		},
		consumer: c.Consumer,
	}
	lists := slices.Concat(c.Key.Scopes, c.Key.Groups, c.Key.Routes, c.Key.Limits, c.Consumer.Groups)
	texts := []*string{
		&kept.ID, &kept.ConsumerID, &kept.Lineage, &kept.consumer.ID, &kept.consumer.Username, &kept.consumer.CustomID,
	}
	for i := range lists {
		texts = append(texts, &lists[i])
	}
	gather(texts)
	kept.Credential, kept.Consumer = kept.ID, &kept.consumer
	take := func(like []string) (part []string) {
		if len(like) == 0 {
			return nil
		}
		part, lists = slices.Clip(lists[:len(like)]), lists[len(like):]
		return part
	}
	kept.Scopes, kept.Groups, kept.Routes, kept.Limits = take(c.Key.Scopes), take(c.Key.Groups), take(c.Key.Routes), take(c.Key.Limits)
	kept.consumer.Groups = take(c.Consumer.Groups)
	return &kept.Identity
}

// gather lays out texts one behind the other in one piece of memory.
func gather(texts []*string) {
	var all strings.Builder
	size := 0
	for _, text := range texts {
		size += len(*text)
	}
	all.Grow(size)
	for _, text := range texts {
		all.WriteString(*text)
	}
	rest := all.String()
	for _, text := range texts {
		n := len(*text)
		*text, rest = rest[:n], rest[n:]
	}
}
