// Package storetest holds every store to the same meaning, and starts real servers for
// the tests of whoever needs one.
package storetest

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// Store is all that a store can do.
type Store interface {
	store.Source
	Consumers(ctx context.Context, after string, limit int) ([]store.Consumer, error)
	CreateConsumer(context.Context, store.Consumer) (store.Consumer, error)
	UpdateConsumer(context.Context, store.Consumer) (store.Consumer, error)
	DeleteConsumer(ctx context.Context, id string) error
	CreateKey(context.Context, store.Key) error
	Key(ctx context.Context, id string) (*store.Key, error)
	Keys(ctx context.Context, consumer, after string, limit int) ([]store.Key, error)
	UpdateKey(context.Context, store.Key) (store.Key, error)
	RevokeKey(ctx context.Context, id string) error
	RehashKey(ctx context.Context, id, from, to string) error
	MarkUsed(context.Context, []store.Use) error
	Ping(context.Context) error
	Close() error
}

// Clock is what the stores under test take for the time.
func Clock() time.Time { return time.Date(2026, 11, 23, 3, 33, 0, 0, time.UTC) }

// Run tests the stores that open makes. Each must be empty and go by Clock.
func Run(t *testing.T, open func(testing.TB) Store) {
	tests := []struct {
		name string
		test func(*testing.T, Store)
	}{
		{"consumer", testConsumer},
		{"consumers are paged", testConsumerPages},
		{"update", testUpdate},
		{"custom ids", testCustomIDs},
		{"delete", testDelete},
		{"key", testKey},
		{"key is refused", testKeyRefused},
		{"keys are paged", testKeyPages},
		{"revoke", testRevoke},
		{"key is updated", testUpdateKey},
		{"key is not updated", testUpdateKeyRefused},
		{"key is rotated", testRotateKey},
		{"key is not rotated", testRotateKeyRefused},
		{"last use", testLastUse},
		{"key is rehashed", testRehash},
		{"key is not rehashed", testRehashRefused},
		{"what was rehashed", testRehashed},
		{"concurrent rehashes", testConcurrentRehashes},
		{"rehash while it is updated", testRehashWhileUpdated},
		{"rehash while it is ended", testRehashWhileEnded},
		{"copies follow", testCopiesFollow},
		{"invalid", testInvalid},
		{"nothing is shared", testNothingShared},
		{"concurrent updates", testConcurrentUpdates},
		{"concurrent conditional updates", testConcurrentConditionalUpdates},
		{"concurrent updates of a key", testConcurrentKeyUpdates},
		{"concurrent creations", testConcurrentCreations},
		{"concurrent custom ids", testConcurrentCustomIDs},
		{"keys of a consumer that goes", testKeysOfDeletedConsumer},
		{"keys of a consumer that changes", testKeysOfChangingConsumer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, open(t)) })
	}
}

// Consumer makes a consumer to store.
func Consumer(id string, groups ...string) store.Consumer {
	return store.Consumer{Consumer: policy.Consumer{ID: id, Username: id + " Ltd", Groups: groups}}
}

// Key makes a key to store, with the hash of Secret(id).
func Key(id, consumer string) store.Key {
	return store.Key{ID: id, Consumer: consumer, Hash: Hash(id), Name: "key " + id, Scopes: []string{"orders:read"}, Created: Clock(), Version: 1}
}

// Secret is the key whose hash Key has.
func Secret(id string) policy.Secret { return policy.NewSecret("secret of " + id) }

// Hash is the plain hash of Secret.
func Hash(id string) string { return policy.PlainKeyHash(Secret(id)) }

// What must succeed may run in goroutines of a test, where Fatal is not allowed.

func mustCreate(t *testing.T, s Store, c store.Consumer) store.Consumer {
	t.Helper()
	created, err := s.CreateConsumer(t.Context(), c)
	if err != nil {
		t.Errorf("CreateConsumer(%q): %v", c.ID, err)
	}
	return created
}

func mustUpdate(t *testing.T, s Store, c store.Consumer) store.Consumer {
	t.Helper()
	updated, err := s.UpdateConsumer(t.Context(), c)
	if err != nil {
		t.Errorf("UpdateConsumer(%q): %v", c.ID, err)
	}
	return updated
}

func mustCreateKey(t *testing.T, s Store, k store.Key) {
	t.Helper()
	if err := s.CreateKey(t.Context(), k); err != nil {
		t.Errorf("CreateKey(%q): %v", k.ID, err)
	}
}

// credential is what is found by a key's hash.
func credential(t *testing.T, s Store, id string) *store.Credential {
	t.Helper()
	found, err := s.Credential(t.Context(), Hash(id))
	if err != nil {
		t.Errorf("Credential(%q): %v", id, err)
	}
	return found
}

func consumer(t *testing.T, s Store, id string) *store.Consumer {
	t.Helper()
	found, err := s.Consumer(t.Context(), id)
	if err != nil {
		t.Errorf("Consumer(%q): %v", id, err)
	}
	return found
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateErrors(), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func numbered(prefix string, i int) string { return fmt.Sprintf("%s%03d", prefix, i) }
