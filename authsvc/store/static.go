package store

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stile-gate/stile/policy"
)

// Static is the consumers and keys that the configuration file declares. It never
// changes. A nil Static declares none.
type Static struct {
	consumers []policy.Consumer
	keys      []Key
	byID      map[string]*policy.Consumer
	byHash    map[string]*policy.Identity
	byDigest  map[digest]*policy.Identity // those under a plain hash, by what the cache computes anyway
}

// NewStatic checks and indexes what is declared. The error joins all that is wrong: what
// Validate finds, what stands twice, and keys of consumers that are not declared.
func NewStatic(consumers []policy.Consumer, keys []Key) (*Static, error) {
	s := &Static{
		byID:     make(map[string]*policy.Consumer, len(consumers)),
		byHash:   make(map[string]*policy.Identity, len(keys)),
		byDigest: map[digest]*policy.Identity{},
	}
	for _, c := range consumers {
		c.Groups = cloneList(c.Groups)
		s.consumers = append(s.consumers, c)
	}
	for _, k := range keys {
		s.keys = append(s.keys, k.clone())
	}
	slices.SortStableFunc(s.consumers, func(a, b policy.Consumer) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortStableFunc(s.keys, func(a, b Key) int { return cmp.Compare(a.ID, b.ID) })
	if err := errors.Join(s.indexConsumers(), s.indexKeys()); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Static) indexConsumers() error {
	var errs []error
	customIDs := map[string]bool{}
	for i := range s.consumers {
		c := &s.consumers[i]
		if err := (Consumer{Consumer: *c}).Validate(); err != nil {
			errs = append(errs, fmt.Errorf("consumer %q: %w", c.ID, err))
		}
		if s.byID[c.ID] != nil {
			errs = append(errs, fmt.Errorf("consumer %q: %w", c.ID, ErrExists))
		}
		if customIDs[c.CustomID] {
			errs = append(errs, fmt.Errorf("consumer %q: custom id %q: %w", c.ID, c.CustomID, ErrExists))
		}
		s.byID[c.ID], customIDs[c.CustomID] = c, c.CustomID != ""
	}
	return errors.Join(errs...)
}

func (s *Static) indexKeys() error {
	var errs []error
	ids := map[string]bool{}
	for _, k := range s.keys {
		fail := func(err error) { errs = append(errs, fmt.Errorf("key %q: %w", k.ID, err)) }
		if err := k.Validate(); err != nil {
			fail(err)
			continue
		}
		if ids[k.ID] {
			fail(ErrExists)
		}
		if s.byHash[k.Hash] != nil {
			fail(fmt.Errorf("its hash: %w", ErrExists))
		}
		ids[k.ID] = true
		consumer := s.byID[k.Consumer]
		if consumer == nil {
			fail(fmt.Errorf("consumer %q: %w", k.Consumer, ErrNotFound))
			continue
		}
		found := (&Credential{Key: k, Consumer: *consumer}).Identity()
		s.byHash[k.Hash] = found
		if digits, ok := strings.CutPrefix(k.Hash, "sha256:"); ok {
			var d digest
			_, _ = hex.Decode(d[:], []byte(digits)) // Validate has seen to its form
			s.byDigest[d] = found
		}
	}
	return errors.Join(errs...)
}

// Identity finds what a key proves by the key's hash; nil when there is none. It is shared:
// read only.
func (s *Static) Identity(hash string) *policy.Identity {
	if s == nil {
		return nil
	}
	return s.byHash[hash]
}

func (s *Static) plain(d digest) *policy.Identity {
	if s == nil {
		return nil
	}
	return s.byDigest[d]
}

// Consumer finds a consumer; nil when there is none. It is shared: read only.
func (s *Static) Consumer(id string) *policy.Consumer {
	if s == nil {
		return nil
	}
	return s.byID[id]
}

// Consumers lists all, in the order of ids. The list is shared: read only.
func (s *Static) Consumers() []policy.Consumer {
	if s == nil {
		return nil
	}
	return s.consumers
}

// Keys lists all, in the order of ids. The list is shared: read only.
func (s *Static) Keys() []Key {
	if s == nil {
		return nil
	}
	return s.keys
}

// digest is the SHA-256 of a presented key: its name in the cache.
type digest [sha256.Size]byte
