package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// board notes what is announced.
type board struct {
	changes []store.Change
	err     error
	ended   error // of the context of the last announcement
}

func (b *board) Announce(ctx context.Context, c store.Change) (int64, error) {
	b.changes, b.ended = append(b.changes, c), ctx.Err()
	return int64(len(b.changes)), b.err
}

// failing is a store whose writes end with an error.
type failing struct {
	*store.Memory
	err error
}

func (f *failing) RevokeKey(context.Context, string) error { return f.err }

func TestAnnounced(t *testing.T) {
	b := &board{}
	a := store.Announce(store.NewMemory(), b)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	_, err := a.CreateConsumer(t.Context(), storetest.Consumer("acme"))
	must(err)
	updated, err := a.UpdateConsumer(t.Context(), storetest.Consumer("acme", "staff"))
	must(err)
	if updated.Version != 2 {
		t.Errorf("updated: %+v", updated)
	}
	must(a.CreateKey(t.Context(), storetest.Key("k1", "acme")))
	k, err := a.UpdateKey(t.Context(), storetest.Key("k1", "acme"))
	must(err)
	if k.Version != 2 {
		t.Errorf("updated: %+v", k)
	}
	found, err := a.Credential(t.Context(), storetest.Hash("k1"))
	must(err)
	if found == nil {
		t.Error("reads do not pass")
	}
	must(a.RevokeKey(t.Context(), "k1"))
	rev := store.Revocation{Issuer: "https://id.example", JTI: "t1", Until: time.Now().Add(time.Hour)}
	must(a.Revoke(t.Context(), rev))
	must(a.DeleteConsumer(t.Context(), "acme"))
	want := []store.Change{
		{Kind: store.ConsumerChanged, ID: "acme"},
		{Kind: store.ConsumerChanged, ID: "acme"},
		{Kind: store.KeyChanged, ID: "k1"},
		{Kind: store.KeyChanged, ID: "k1"},
		{Kind: store.KeyChanged, ID: "k1"},
		{Kind: store.TokenChanged, ID: rev.ID()},
		{Kind: store.ConsumerChanged, ID: "acme"},
	}
	if diff := cmp.Diff(want, b.changes); diff != "" {
		t.Errorf("announced (-want +got):\n%s", diff)
	}
	if a.Last() != int64(len(want)) {
		t.Errorf("the last one is %d", a.Last())
	}
}

func TestAnnouncedFailures(t *testing.T) {
	lost, deaf := errors.New("the answer was lost"), errors.New("nobody hears")
	for name, tt := range map[string]struct {
		write, announce error
		announced       int
		want            []error
	}{
		"not found":               {store.ErrNotFound, nil, 0, []error{store.ErrNotFound}},
		"exists":                  {store.ErrExists, nil, 0, []error{store.ErrExists}},
		"conflict":                {store.ErrConflict, nil, 0, []error{store.ErrConflict}},
		"invalid":                 {storetest.Key("-", "").Validate(), nil, 0, nil},
		"perhaps in part":         {lost, nil, 1, []error{lost}},
		"unannounced":             {nil, deaf, 1, []error{store.ErrUnannounced, deaf}},
		"in part and unannounced": {lost, deaf, 1, []error{lost, deaf}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &board{err: tt.announce}
			a := store.Announce(&failing{store.NewMemory(), tt.write}, b)
			gone, cancel := context.WithCancel(t.Context())
			cancel() // who asked is not there any more
			err := a.RevokeKey(gone, "k1")
			if err == nil {
				t.Error("no error")
			}
			for _, want := range tt.want {
				if !errors.Is(err, want) {
					t.Errorf("%v is not %v", err, want)
				}
			}
			if len(b.changes) != tt.announced || b.ended != nil {
				t.Errorf("announced %v, with a context that had ended: %v", b.changes, b.ended)
			}
			if tt.announce != nil && a.Last() != 0 {
				t.Errorf("the last one is %d", a.Last())
			}
		})
	}
}

// The log was lost, and counts from the beginning: waiting for the old number would never end.
func TestAnnouncedLastAfterLoss(t *testing.T) {
	server := storetest.StartRedis(t)
	r := openRedis(t, server)
	a := store.Announce(r, r)
	fill(t, r, 3)
	for _, id := range []string{"k000", "k001"} {
		if err := a.RevokeKey(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	r.Client().FlushAll(t.Context())
	if _, err := a.CreateConsumer(t.Context(), storetest.Consumer("acme")); err != nil {
		t.Fatal(err)
	}
	follow(t, r, store.FollowerOptions{})
	if a.Last() != 1 {
		t.Errorf("the last one is %d", a.Last())
	}
	waitApplied(t, r, a.Last())
}
