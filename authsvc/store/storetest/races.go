package storetest

import (
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
)

// together runs n calls at the same time and waits for them.
func together(n int, call func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { call(i) })
	}
	wg.Wait()
}

func testConcurrentUpdates(t *testing.T, s Store) {
	mustCreate(t, s, Consumer("acme"))
	mustCreateKey(t, s, Key("k1", "acme"))
	const writers, each = 8, 10
	versions := make([]int64, writers*each)
	together(writers, func(i int) {
		for j := range each {
			c := Consumer("acme", strconv.Itoa(i), "round "+strconv.Itoa(j))
			c, err := s.UpdateConsumer(t.Context(), c)
			if err != nil {
				t.Error(err)
			}
			versions[i*each+j] = c.Version
		}
	})
	slices.Sort(versions)
	for i, v := range versions {
		if v != int64(i)+2 {
			t.Fatalf("versions %v: not each update has its own", versions)
		}
	}
	equal(t, "copy", credential(t, s, "k1").Consumer, consumer(t, s, "acme").Consumer)
}

func testConcurrentConditionalUpdates(t *testing.T, s Store) {
	mustCreate(t, s, Consumer("acme"))
	const writers, each = 6, 5
	together(writers, func(i int) {
		for j := range each {
			for {
				c := consumer(t, s, "acme")
				c.Groups = append(c.Groups, strconv.Itoa(i)+"-"+strconv.Itoa(j))
				_, err := s.UpdateConsumer(t.Context(), *c)
				if err == nil {
					break
				}
				if !errors.Is(err, store.ErrConflict) {
					t.Error(err)
					return
				}
			}
		}
	})
	groups := consumer(t, s, "acme").Groups
	slices.Sort(groups)
	if len(slices.Compact(groups)) != writers*each {
		t.Errorf("an update was lost: %v", groups)
	}
}

func testConcurrentKeyUpdates(t *testing.T, s Store) {
	mustCreate(t, s, Consumer("acme"))
	mustCreateKey(t, s, Key("k1", "acme"))
	const writers, each = 6, 5
	together(writers, func(i int) {
		for j := range each {
			for {
				k := credential(t, s, "k1").Key
				k.Groups = append(k.Groups, strconv.Itoa(i)+"-"+strconv.Itoa(j))
				_, err := s.UpdateKey(t.Context(), k)
				if err == nil {
					break
				}
				if !errors.Is(err, store.ErrConflict) {
					t.Error(err)
					return
				}
			}
		}
	})
	k := credential(t, s, "k1").Key
	slices.Sort(k.Groups)
	if len(slices.Compact(k.Groups)) != writers*each || k.Version != writers*each+1 {
		t.Errorf("an update was lost: %+v", k)
	}
}

func testConcurrentCreations(t *testing.T, s Store) {
	var consumers, keys atomic.Int32
	together(16, func(i int) {
		_, err := s.CreateConsumer(t.Context(), Consumer("acme", strconv.Itoa(i)))
		if err == nil {
			consumers.Add(1)
		} else if !errors.Is(err, store.ErrExists) {
			t.Error(err)
		}
	})
	together(16, func(i int) {
		k := Key("k1", "acme")
		if i%2 == 0 {
			k = Key("k2", "acme") // another hash, the same id
			k.ID = "k1"
		}
		err := s.CreateKey(t.Context(), k)
		if err == nil {
			keys.Add(1)
		} else if !errors.Is(err, store.ErrExists) {
			t.Error(err)
		}
	})
	if consumers.Load() != 1 || keys.Load() != 1 {
		t.Errorf("%d consumers and %d keys were created under one id", consumers.Load(), keys.Load())
	}
	if (credential(t, s, "k1") == nil) == (credential(t, s, "k2") == nil) {
		t.Error("not exactly one key is good")
	}
}

func testConcurrentCustomIDs(t *testing.T, s Store) {
	for i := range 4 {
		mustCreate(t, s, Consumer(numbered("c", i)))
	}
	together(8, func(i int) {
		for j := range 10 {
			c := Consumer(numbered("c", i%4))
			if (i+j)%3 > 0 {
				c.CustomID = "wanted by all " + strconv.Itoa(j%2)
			}
			_, err := s.UpdateConsumer(t.Context(), c)
			if err != nil && !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrConflict) {
				t.Error(err)
			}
		}
	})
	holders := map[string]string{}
	for i := range 4 {
		c := consumer(t, s, numbered("c", i))
		if other := holders[c.CustomID]; other != "" && c.CustomID != "" {
			t.Errorf("custom id %q is that of %s and of %s", c.CustomID, other, c.ID)
		}
		holders[c.CustomID] = c.ID
	}
	for i := range 4 { // what was held can be let go, and be had again
		mustUpdate(t, s, Consumer(numbered("c", i)))
	}
	c := Consumer("c003")
	c.CustomID = "wanted by all 0"
	mustUpdate(t, s, c)
}

func testKeysOfDeletedConsumer(t *testing.T, s Store) {
	const keys = 12
	for range 10 {
		mustCreate(t, s, Consumer("acme"))
		together(keys+1, func(i int) {
			if i == keys/2 {
				if err := s.DeleteConsumer(t.Context(), "acme"); err != nil {
					t.Error(err)
				}
				return
			}
			err := s.CreateKey(t.Context(), Key(numbered("k", i), "acme"))
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
		})
		for i := range keys + 1 {
			if found := credential(t, s, numbered("k", i)); found != nil {
				t.Fatalf("key %q of a deleted consumer is good", found.Key.ID)
			}
		}
	}
}

func testKeysOfChangingConsumer(t *testing.T, s Store) {
	mustCreate(t, s, Consumer("acme"))
	const keys = 12
	for round := range 10 {
		var last store.Consumer
		together(keys+1, func(i int) {
			if i < keys {
				mustCreateKey(t, s, Key(numbered("k", i), "acme"))
				return
			}
			for j := range 3 {
				last = mustUpdate(t, s, Consumer("acme", strconv.Itoa(round*3+j)))
			}
		})
		for i := range keys {
			id := numbered("k", i)
			found := credential(t, s, id)
			if found == nil {
				t.Fatalf("key %q is missing", id)
			}
			equal(t, "copy of "+id, found.Consumer, last.Consumer)
			equal(t, "revoke "+id, s.RevokeKey(t.Context(), id), nil)
		}
	}
}
