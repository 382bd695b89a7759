package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
)

// tried answers whether a record is there now, which others may be in the way of.
func tried(t *testing.T, s store.Loader, records ...store.Record) (done int) {
	problems, err := s.Load(t.Context(), records)
	if err != nil {
		t.Errorf("Load: %v", err)
	}
	for i, problem := range problems {
		switch {
		case problem == nil:
			done++
		case !errors.Is(problem, store.ErrExists) && !errors.Is(problem, store.ErrConflict) && !errors.Is(problem, store.ErrNotFound):
			t.Errorf("%s: %v", name(records[i]), problem)
		}
	}
	return done
}

func testLoadBesideCreations(t *testing.T, s LoadStore) {
	const keys = 30
	records := func() (list []store.Record) {
		for i := range keys {
			k := Key(numbered("k", i), "acme")
			k.Version, k.Name = 4, "loaded"
			list = append(list, store.Record{Key: &k})
		}
		return list
	}()
	for range 5 {
		mustCreate(t, s, Consumer("acme"))
		created := make([]int, 2)
		loaded := make([]int, 2)
		together(4, func(i int) {
			if i < 2 {
				loaded[i] = tried(t, s, records...)
				return
			}
			for j := range keys {
				if err := s.CreateKey(t.Context(), Key(numbered("k", j), "acme")); err == nil {
					created[i-2]++
				} else if !errors.Is(err, store.ErrExists) {
					t.Error(err)
				}
			}
		})
		for i := range keys {
			if found := credential(t, s, numbered("k", i)); found == nil {
				t.Errorf("key %d is missing: created %v, loaded %v", i, created, loaded)
			}
		}
		equal(t, "delete", s.DeleteConsumer(t.Context(), "acme"), nil)
	}
}

func testLoadBesideLoad(t *testing.T, s LoadStore) {
	records := Records(60)
	together(4, func(int) { tried(t, s, records...) })
	mustLoad(t, s, nil, records...)
	sameRecords(t, dump(t, s), byName(records))
}

func testLoadBesideDeletions(t *testing.T, s LoadStore) {
	const keys = 40
	for range 10 {
		mustCreate(t, s, Consumer("acme"))
		var records []store.Record
		for i := range keys {
			k := Key(numbered("k", i), "acme")
			records = append(records, store.Record{Key: &k})
		}
		together(4, func(i int) {
			if i == 0 {
				if err := s.DeleteConsumer(t.Context(), "acme"); err != nil {
					t.Error(err)
				}
				return
			}
			tried(t, s, records...)
		})
		for i := range keys {
			if found := credential(t, s, numbered("k", i)); found != nil {
				t.Fatalf("key %q of a deleted consumer is good", found.Key.ID)
			}
		}
	}
	equal(t, "dump", len(dump(t, s)), 0)
}

func testLoadBesideUpdates(t *testing.T, s LoadStore) {
	const keys = 30
	acme := Consumer("acme")
	acme.Version = 9
	for range 5 {
		mustLoad(t, s, nil, store.Record{Consumer: &acme})
		var records []store.Record
		for i := range keys {
			k := Key(numbered("k", i), "acme")
			records = append(records, store.Record{Key: &k})
		}
		var last store.Consumer
		together(2, func(i int) {
			if i == 0 {
				if n := tried(t, s, records...); n != keys {
					t.Errorf("%d of %d keys were loaded", n, keys)
				}
				return
			}
			for j := range 10 {
				last = mustUpdate(t, s, Consumer("acme", strconv.Itoa(j)))
			}
		})
		equal(t, "version", last.Version, int64(19))
		for i := range keys {
			equal(t, "copy", credential(t, s, numbered("k", i)).Consumer, last.Consumer)
		}
		equal(t, "delete", s.DeleteConsumer(t.Context(), "acme"), nil)
	}
}

// What stays as it is, is told once, whatever others do, and nothing is told in halves.
func testDumpBesideWrites(t *testing.T, s LoadStore) {
	records := Records(150)
	mustLoad(t, s, nil, records...)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i = (i + 1) % 50 {
			select {
			case <-stop:
				return
			default:
			}
			id := fmt.Sprintf("c%03dx", i*3) // among the others
			mustCreate(t, s, Consumer(id))
			mustCreateKey(t, s, Key("k"+id, id))
			if err := s.DeleteConsumer(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
	}()
	for range 5 {
		told := map[string]int{}
		for _, r := range dump(t, s) {
			told[name(r)]++
			if err := r.Validate(); err != nil {
				t.Errorf("%s: %v", name(r), err)
			}
		}
		for _, r := range records {
			if n := told[name(r)]; n != 1 {
				t.Errorf("%s is told %d times", name(r), n)
			}
		}
	}
	close(stop)
	<-done
}
