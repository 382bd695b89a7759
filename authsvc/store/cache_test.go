package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

var pepper = policy.Pepper{Version: 2, Secret: policy.NewSecret("a pepper of some length")}

// world is a cache, what it asks, and what it reports.
type world struct {
	*store.Cache
	*clock
	source  *source
	counter *counter
}

// newWorld holds the consumer acme with the keys k0 to k2, hashed with pepper.
func newWorld(t testing.TB, o store.CacheOptions) world {
	t.Helper()
	w := world{clock: &clock{}, source: newSource(), counter: &counter{}}
	o.Source, o.Pepper, o.Now, o.Count = w.source, pepper, w.now, w.counter.count
	w.Cache = store.NewCache(o)
	if _, err := w.source.CreateConsumer(t.Context(), storetest.Consumer("acme")); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"k0", "k1", "k2"} {
		w.addKey(t, id)
	}
	return w
}

func (w world) addKey(t testing.TB, id string) {
	t.Helper()
	k := storetest.Key(id, "acme")
	k.Hash = pepper.HashKey(storetest.Secret(id))
	if err := w.source.CreateKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
}

// revoke revokes a key and says so to the cache.
func (w world) revoke(t testing.TB, id string) {
	t.Helper()
	if err := w.source.RevokeKey(t.Context(), id); err != nil {
		t.Error(err)
	}
	w.ForgetKey(id)
}

// find looks up a key and answers its id, "" when there is none.
func (w world) find(t testing.TB, id string) string {
	t.Helper()
	found, err := w.Identify(t.Context(), storetest.Secret(id))
	if err != nil {
		t.Errorf("look up %s: %v", id, err)
	}
	if found == nil {
		return ""
	}
	return found.ID
}

func (w world) wantCounts(t testing.TB, want map[string]int) {
	t.Helper()
	if diff := cmp.Diff(want, w.counter.take()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func (w world) wantQuestions(t testing.TB, n int) {
	t.Helper()
	if got := w.source.questions(); got != n {
		t.Errorf("%d questions to the source, want %d", got, n)
	}
}

func wantID(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("found key %q, want %q", got, want)
	}
}

func TestCacheRemembers(t *testing.T) {
	w := newWorld(t, store.CacheOptions{TTL: 10 * time.Second})
	for range 3 {
		wantID(t, w.find(t, "k1"), "k1")
	}
	w.wantCounts(t, map[string]int{"credential miss": 1, "credential hit": 2})
	if asked := w.source.asked[0]; asked != pepper.HashKey(storetest.Secret("k1")) {
		t.Errorf("the source was asked for %q", asked)
	}
	w.move(8900 * time.Millisecond) // within the TTL less a tenth
	wantID(t, w.find(t, "k1"), "k1")
	w.wantQuestions(t, 1)
	w.move(2200 * time.Millisecond) // beyond the TTL and a tenth
	wantID(t, w.find(t, "k1"), "k1")
	w.wantQuestions(t, 2)
	if err := w.source.RevokeKey(t.Context(), "k1"); err != nil {
		t.Fatal(err)
	}
	wantID(t, w.find(t, "k1"), "k1") // not heard of it yet
	w.move(11100 * time.Millisecond)
	wantID(t, w.find(t, "k1"), "")
}

func TestCacheNegative(t *testing.T) {
	w := newWorld(t, store.CacheOptions{NegativeTTL: time.Second})
	for range 3 {
		wantID(t, w.find(t, "none"), "")
	}
	w.wantCounts(t, map[string]int{"credential miss": 1, "credential negative": 2})
	w.addKey(t, "none")
	wantID(t, w.find(t, "none"), "")
	w.ForgetNegative()
	wantID(t, w.find(t, "none"), "none")
	wantID(t, w.find(t, "other"), "")
	w.addKey(t, "other")
	w.move(1200 * time.Millisecond)
	wantID(t, w.find(t, "other"), "other")
}

func TestCacheIsBounded(t *testing.T) {
	w := newWorld(t, store.CacheOptions{Entries: 200, NegativeEntries: 100})
	for i := range 150 {
		id := fmt.Sprint("real", i)
		w.addKey(t, id)
		w.find(t, id)
	}
	for i := range 5000 {
		w.find(t, fmt.Sprint("guess", i))
	}
	if known, unknown := w.Sizes(); known != 150 || unknown > 100 {
		t.Errorf("after a flood of guesses: %d known, %d unknown", known, unknown)
	}
	w.counter.take()
	for i := range 150 {
		w.find(t, fmt.Sprint("real", i))
	}
	w.wantCounts(t, map[string]int{"credential hit": 150})
	for i := range 1000 {
		id := fmt.Sprint("more", i)
		w.addKey(t, id)
		w.find(t, id)
	}
	if known, _ := w.Sizes(); known > 200 {
		t.Errorf("%d known", known)
	}
}

func TestCacheMerges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, store.CacheOptions{})
		release := w.source.hold()
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { wantID(t, w.find(t, "k1"), "k1") })
		}
		synctest.Wait() // all of them wait now
		release()
		wg.Wait()
		w.wantQuestions(t, 1)
	})
}

// The first to ask goes away; those who joined it get their answer.
func TestCacheCallerGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, store.CacheOptions{})
		release := w.source.hold()
		ctx, cancel := context.WithCancel(t.Context())
		var first error
		var wg sync.WaitGroup
		wg.Go(func() { _, first = w.Identify(ctx, storetest.Secret("k1")) })
		synctest.Wait()
		wg.Go(func() { wantID(t, w.find(t, "k1"), "k1") })
		synctest.Wait()
		cancel()
		synctest.Wait()
		if !errors.Is(first, context.Canceled) {
			t.Errorf("who went away got %v", first)
		}
		release()
		wg.Wait()
		w.wantQuestions(t, 1)
	})
}

func TestCacheConsumer(t *testing.T) {
	w := newWorld(t, store.CacheOptions{})
	var directory policy.Directory = w.Cache
	for range 2 {
		c, err := directory.Consumer(t.Context(), "acme")
		if err != nil || c == nil || c.ID != "acme" {
			t.Fatalf("%v, %v", c, err)
		}
		if c, err = directory.Consumer(t.Context(), "none"); c != nil || err != nil {
			t.Fatalf("%v, %v", c, err)
		}
		if c, err = directory.Consumer(t.Context(), "no/id"); c != nil || err != nil {
			t.Fatalf("%v, %v", c, err)
		}
	}
	w.wantQuestions(t, 2)
	w.wantCounts(t, map[string]int{"consumer miss": 2, "consumer hit": 1, "consumer negative": 3})
}

func TestCacheForget(t *testing.T) {
	w := newWorld(t, store.CacheOptions{})
	warm := func() {
		for _, id := range []string{"k0", "k1", "none"} {
			w.find(t, id)
		}
		_, _ = w.Consumer(t.Context(), "acme")
		w.counter.take()
	}
	tests := []struct {
		name   string
		forget func()
		want   map[string]int
	}{
		{"nothing", func() {}, map[string]int{"credential hit": 2, "credential negative": 1, "consumer hit": 1}},
		{
			"one key", func() { w.ForgetKey("k1") },
			map[string]int{"credential hit": 1, "credential miss": 1, "credential negative": 1, "consumer hit": 1},
		},
		{
			"a consumer", func() { w.ForgetConsumer("acme") },
			map[string]int{"credential miss": 2, "credential negative": 1, "consumer miss": 1},
		},
		{
			"another consumer", func() { w.ForgetConsumer("other") },
			map[string]int{"credential hit": 2, "credential negative": 1, "consumer hit": 1},
		},
		{"the unknown", w.ForgetNegative, map[string]int{"credential hit": 2, "credential miss": 1, "consumer hit": 1}},
		{"all", w.ForgetAll, map[string]int{"credential miss": 3, "consumer miss": 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			warm()
			tt.forget()
			for _, id := range []string{"k0", "k1", "none"} {
				w.find(t, id)
			}
			_, _ = w.Consumer(t.Context(), "acme")
			w.wantCounts(t, tt.want)
		})
	}
}

// A question that was asked before an invalidation gets an old answer, which is not
// remembered.
func TestCacheGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, store.CacheOptions{})
		release := w.source.hold()
		var wg sync.WaitGroup
		wg.Go(func() { wantID(t, w.find(t, "k1"), "k1") })
		synctest.Wait()
		w.revoke(t, "k1")
		release()
		wg.Wait()
		wantID(t, w.find(t, "k1"), "")
		w.wantQuestions(t, 1+3) // with the pepper and, since nobody was found, without, and once more with it
	})
}

// Nor does who asks after the invalidation join the question from before it.
func TestCacheGenerationJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, store.CacheOptions{})
		release := w.source.hold()
		var wg sync.WaitGroup
		wg.Go(func() { wantID(t, w.find(t, "k1"), "k1") })
		synctest.Wait()
		w.revoke(t, "k1")
		wg.Go(func() { wantID(t, w.find(t, "k1"), "") })
		synctest.Wait()
		w.wantQuestions(t, 2)
		release()
		wg.Wait()
	})
}

// Look-ups, changes and invalidations at once: what was revoked and forgotten is never
// found again.
func TestCacheConcurrent(t *testing.T) {
	w := newWorld(t, store.CacheOptions{Entries: 100})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 100 {
				id := fmt.Sprint("c", i, "-", j)
				w.addKey(t, id)
				w.ForgetNegative()
				wantID(t, w.find(t, id), id)
				wantID(t, w.find(t, "k0"), "k0")
				w.revoke(t, id)
				wantID(t, w.find(t, id), "")
			}
		})
	}
	wg.Wait()
}
