package store_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

func pepperOf(version int) policy.Pepper {
	return policy.Pepper{Version: version, Secret: policy.NewSecret("a pepper of 16 bytes or more " + string(rune('0'+version)))}
}

func TestPeppersFindKeysOfBefore(t *testing.T) {
	books := newSource()
	if _, err := books.CreateConsumer(t.Context(), storetest.Consumer("acme")); err != nil {
		t.Fatal(err)
	}
	for id, made := range map[string]policy.Pepper{"k0": {}, "k1": pepperOf(1), "k2": pepperOf(2), "k3": pepperOf(3)} {
		k := storetest.Key(id, "acme")
		k.Hash = made.HashKey(storetest.Secret(id))
		if err := books.CreateKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	both := store.Peppers{Current: pepperOf(3), Old: []policy.Pepper{pepperOf(2), pepperOf(1)}, Source: books}
	for name, tc := range map[string]struct {
		peppers   store.Peppers
		questions map[string]int // that a key takes until it is found; without it, it is not
	}{
		"three":   {both, map[string]int{"k3": 1, "k2": 2, "k1": 3, "k0": 4}},
		"one":     {store.Peppers{Current: pepperOf(1), Source: books}, map[string]int{"k1": 1, "k0": 2}},
		"none":    {store.Peppers{Source: books}, map[string]int{"k0": 1}},
		"removed": {store.Peppers{Current: pepperOf(3), Source: books}, map[string]int{"k3": 1, "k0": 2}},
	} {
		for _, id := range []string{"k0", "k1", "k2", "k3"} {
			before := books.questions()
			found, err := tc.peppers.Find(t.Context(), storetest.Secret(id))
			want, known := tc.questions[id]
			if err != nil || (found != nil) != known || known && (found.Key.ID != id || books.questions()-before != want) {
				t.Errorf("%s: %s: %+v, %v after %d questions", name, id, found, err, books.questions()-before)
			}
		}
	}
	books.fail(errors.New("down"))
	if found, err := both.Find(t.Context(), storetest.Secret("k1")); found != nil || err == nil {
		t.Errorf("while the store is down: %v, %v", found, err)
	}
	if n := len(slices.Collect(both.Hashes(storetest.Secret("k9")))); n != 4 {
		t.Errorf("%d hashes", n)
	}
	if _, err := both.Consumer(context.Background(), "acme"); err == nil {
		t.Error("it is not the source")
	}
}
