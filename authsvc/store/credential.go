package store

import (
	"slices"
	"strings"

	"github.com/stile-gate/stile/policy"
)

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
			Ref:        policy.Ref{Kind: "key", ID: c.Key.ID},
			ConsumerID: c.Key.Consumer,
			Expires:    c.Key.ExpiresAt,
		},
		consumer: c.Consumer,
	}
	lists := slices.Concat(c.Key.Scopes, c.Consumer.Groups)
	texts := []*string{&kept.ID, &kept.ConsumerID, &kept.consumer.ID, &kept.consumer.Username, &kept.consumer.CustomID}
	for i := range lists {
		texts = append(texts, &lists[i])
	}
	gather(texts)
	scopes := len(c.Key.Scopes)
	kept.Credential, kept.Consumer = kept.ID, &kept.consumer
	kept.Scopes, kept.consumer.Groups = slices.Clip(lists[:scopes]), slices.Clip(lists[scopes:])
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
