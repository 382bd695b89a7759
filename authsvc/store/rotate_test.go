package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// unsteady is a store whose updates fail, before or after they are done.
type unsteady struct {
	*store.Memory
	lost, stuck bool // the answer to an update is lost; nothing can be revoked
}

var errUnsteady = errors.New("no answer")

func (u unsteady) UpdateKey(ctx context.Context, k store.Key) (store.Key, error) {
	if u.lost {
		_, _ = u.Memory.UpdateKey(ctx, k)
	}
	return store.Key{}, errUnsteady
}

func (u unsteady) RevokeKey(ctx context.Context, id string) error {
	if u.stuck {
		return errUnsteady
	}
	return u.Memory.RevokeKey(ctx, id)
}

func TestARotationThatFailsHalfwayDoesNoHarm(t *testing.T) {
	for what, tc := range map[string]struct {
		books   unsteady
		done    bool // the new key stands in the end
		message string
	}{
		"not marked":                     {unsteady{}, false, "the new key was revoked again"},
		"marked, and the answer lost":    {unsteady{lost: true}, true, ""},
		"not marked, and not taken back": {unsteady{stuck: true}, true, `"k2", which nobody has seen, could not be revoked`},
	} {
		tc.books.Memory = store.NewMemory()
		if _, err := tc.books.CreateConsumer(t.Context(), storetest.Consumer("acme")); err != nil {
			t.Fatal(err)
		}
		if err := tc.books.CreateKey(t.Context(), storetest.Key("k1", "acme")); err != nil {
			t.Fatal(err)
		}
		r := store.Rotation{ID: "k2", Hash: storetest.Hash("k2"), Overlap: time.Hour, Now: storetest.Clock()}
		_, old, err := store.RotateKey(t.Context(), tc.books, "k1", r)
		made, _ := tc.books.Key(t.Context(), "k2")
		first, _ := tc.books.Key(t.Context(), "k1")
		switch {
		case (made != nil) != tc.done || first == nil:
			t.Errorf("%s: new %+v, old %+v", what, made, first)
		case tc.message == "" && (err != nil || old.ReplacedBy != "k2"):
			t.Errorf("%s: %v, old %+v", what, err, old)
		case tc.message != "" && (!errors.Is(err, errUnsteady) || !strings.Contains(err.Error(), tc.message)):
			t.Errorf("%s: %v", what, err)
		case tc.message != "" && (first.ReplacedBy != "" || !first.ExpiresAt.IsZero()):
			t.Errorf("%s: the old key ends: %+v", what, first)
		}
	}
}
