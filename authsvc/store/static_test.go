package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

func newStatic(t testing.TB) *store.Static {
	t.Helper()
	peppered := storetest.Key("s2", "b")
	peppered.Hash = pepper.HashKey(storetest.Secret("s2"))
	s, err := store.NewStatic(
		[]policy.Consumer{{ID: "b", Groups: []string{"staff"}}, {ID: "a", CustomID: "x"}},
		[]store.Key{peppered, storetest.Key("s1", "a")},
	)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStatic(t *testing.T) {
	s := newStatic(t)
	want := (&store.Credential{Key: storetest.Key("s1", "a"), Consumer: policy.Consumer{ID: "a", CustomID: "x"}}).Identity()
	if diff := cmp.Diff(want, s.Identity(storetest.Hash("s1"))); diff != "" {
		t.Error(diff)
	}
	if s.Identity(pepper.HashKey(storetest.Secret("s2"))) == nil || s.Identity(storetest.Hash("s2")) != nil {
		t.Error("s2 is not found by its peppered hash alone")
	}
	if c := s.Consumer("b"); c == nil || c.Groups[0] != "staff" || s.Consumer("c") != nil {
		t.Error("consumers are not found")
	}
	if list := s.Consumers(); len(list) != 2 || list[0].ID != "a" {
		t.Errorf("consumers are %v", list)
	}
	if list := s.Keys(); len(list) != 2 || list[0].ID != "s1" {
		t.Errorf("keys are %v", list)
	}
	var none *store.Static
	if none.Identity("") != nil || none.Consumer("a") != nil || none.Keys() != nil || none.Consumers() != nil {
		t.Error("a nil Static declares something")
	}
}

func TestStaticRefuses(t *testing.T) {
	odd, orphan, again, sameHash := storetest.Key("k1", "a"), storetest.Key("k2", "nobody"), storetest.Key("k4", "a"), storetest.Key("k3", "a")
	odd.Hash, sameHash.ID = "md5:0", "k5"
	_, err := store.NewStatic(
		[]policy.Consumer{{ID: "a", CustomID: "x"}, {ID: "a"}, {ID: "-"}, {ID: "c", CustomID: "x"}},
		[]store.Key{odd, orphan, storetest.Key("k3", "a"), sameHash, again, again},
	)
	for _, want := range []string{
		`consumer "-": id: `, `consumer "a": already exists`, `consumer "c": custom id "x": already exists`, `key "k1": hash: `,
		`key "k2": consumer "nobody": not found`, `key "k5": its hash: already exists`, `key "k4": already exists`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

// What the file declares needs no source, though it fails, and never expires.
func TestCacheStatic(t *testing.T) {
	w := newWorld(t, store.CacheOptions{Static: newStatic(t)})
	w.source.fail(errors.New("down"))
	for range 3 {
		wantID(t, w.find(t, "s1"), "s1")
		wantID(t, w.find(t, "s2"), "s2")
		if c, err := w.Consumer(t.Context(), "a"); err != nil || c == nil || c.CustomID != "x" {
			t.Errorf("consumer a: %v, %v", c, err)
		}
		w.move(1_000_000 * 3600e9)
		w.ForgetAll()
	}
	w.wantQuestions(t, 0)
	w.wantCounts(t, map[string]int{"credential hit": 6, "consumer hit": 3})
}
