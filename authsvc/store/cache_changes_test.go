package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

func TestCacheApply(t *testing.T) {
	hits := map[string]int{"credential hit": 2, "credential negative": 1, "consumer hit": 1}
	for _, tt := range []struct {
		change store.Change
		want   map[string]int
	}{
		{store.Change{Kind: store.KeyChanged, ID: "k1"}, map[string]int{"credential hit": 1, "credential miss": 2, "consumer hit": 1}},
		{store.Change{Kind: store.KeyChanged, ID: "kX"}, map[string]int{"credential hit": 2, "credential miss": 1, "consumer hit": 1}},
		{store.Change{Kind: store.ConsumerChanged, ID: "acme"}, map[string]int{"credential miss": 3, "consumer miss": 1}},
		{store.Change{Kind: store.ConsumerChanged, ID: "k1"}, map[string]int{"credential hit": 2, "credential miss": 1, "consumer hit": 1}},
		{store.Change{Kind: store.TokenChanged, ID: "k1"}, hits},
		{store.Change{Kind: store.EverythingChanged}, map[string]int{"credential miss": 3, "consumer miss": 1}},
		{store.Change{Kind: "something else", ID: "k7"}, map[string]int{"credential miss": 3, "consumer miss": 1}},
	} {
		t.Run(fmt.Sprint(tt.change), func(t *testing.T) {
			w := newWorld(t, store.CacheOptions{})
			look := func() {
				t.Helper()
				wantID(t, w.find(t, "k0"), "k0")
				wantID(t, w.find(t, "k1"), "k1")
				wantID(t, w.find(t, "kX"), "")
				if _, err := w.Consumer(t.Context(), "acme"); err != nil {
					t.Error(err)
				}
			}
			look()
			w.counter.take()
			w.Apply(tt.change)
			look()
			w.wantCounts(t, tt.want)
			look()
			w.wantCounts(t, hits)
		})
	}
}

func TestCacheUnfollowed(t *testing.T) {
	w := newWorld(t, store.CacheOptions{TTL: 30 * time.Second})
	look := func(result string) {
		t.Helper()
		wantID(t, w.find(t, "k0"), "k0")
		w.wantCounts(t, map[string]int{"credential " + result: 1})
	}
	look("miss")
	w.move(3 * time.Second)
	look("hit")
	w.Followed(false)
	look("miss")
	w.move(1999 * time.Millisecond)
	look("hit")
	w.move(time.Millisecond)
	look("miss")
	w.move(3 * time.Second)
	w.source.fail(errors.New("down"))
	look("stale") // what is known is better than nothing
	w.Followed(true)
	look("hit")
}

// What was revoked is not served because the store is down.
func TestForgottenIsNeverStale(t *testing.T) {
	w := newWorld(t, store.CacheOptions{})
	wantID(t, w.find(t, "k0"), "k0")
	wantID(t, w.find(t, "k1"), "k1")
	w.source.fail(errors.New("down"))
	w.Apply(store.Change{Kind: store.KeyChanged, ID: "k0"})
	if found, err := w.Identify(t.Context(), storetest.Secret("k0")); found != nil || err == nil {
		t.Errorf("found %v, %v", found, err)
	}
	wantID(t, w.find(t, "k1"), "k1")
}

// An answer that is under way is not remembered if it is of what was revoked meanwhile, and
// is if it is of something else.
func TestForgottenUnderWay(t *testing.T) {
	w := newWorld(t, store.CacheOptions{})
	release := w.source.hold()
	var lookers sync.WaitGroup
	for _, id := range []string{"k0", "k1"} {
		lookers.Go(func() { wantID(t, w.find(t, id), id) })
	}
	storetest.Eventually(t, "both are asked for", func() bool { return w.source.questions() == 2 })
	w.revoke(t, "k0")
	release()
	lookers.Wait()
	w.counter.take()
	wantID(t, w.find(t, "k0"), "")
	wantID(t, w.find(t, "k1"), "k1")
	w.wantCounts(t, map[string]int{"credential miss": 1, "credential hit": 1})
}

// Whoever asks after a key was revoked never gets it, whatever goes on at the same time.
func TestForgetAmongLookUps(t *testing.T) {
	const keys = 500
	w := newWorld(t, store.CacheOptions{})
	for i := range keys {
		w.addKey(t, fmt.Sprint("n", i))
	}
	stop := make(chan struct{})
	var lookers sync.WaitGroup
	for range 4 {
		lookers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					_, _ = w.Identify(t.Context(), storetest.Secret(fmt.Sprint("n", i%keys)))
				}
			}
		})
	}
	for i := range keys {
		id := fmt.Sprint("n", i)
		w.revoke(t, id)
		wantID(t, w.find(t, id), "")
	}
	close(stop)
	lookers.Wait()
	for i := range keys {
		wantID(t, w.find(t, fmt.Sprint("n", i)), "")
	}
}

// A revocation costs the same however much is cached.
func BenchmarkApplyAmong200000(b *testing.B) {
	m := store.NewMemory()
	if _, err := m.CreateConsumer(b.Context(), storetest.Consumer("acme")); err != nil {
		b.Fatal(err)
	}
	c := store.NewCache(store.CacheOptions{Source: m})
	for i := range 200_000 {
		id := fmt.Sprint("k", i)
		if err := m.CreateKey(b.Context(), storetest.Key(id, "acme")); err != nil {
			b.Fatal(err)
		}
		wantKnown(b, c, id, true)
	}
	for b.Loop() {
		c.Apply(store.Change{Kind: store.KeyChanged, ID: "k7"})
	}
}
