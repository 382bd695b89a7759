package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

var errDown = errors.New("connection refused")

func TestCacheStale(t *testing.T) {
	w := newWorld(t, store.CacheOptions{TTL: 10 * time.Second, StaleGrace: time.Minute})
	w.find(t, "k1")
	w.find(t, "none")
	w.source.fail(errDown)
	w.counter.take()
	w.move(12 * time.Second)
	wantID(t, w.find(t, "k1"), "k1")
	w.wantCounts(t, map[string]int{"credential stale": 1})
	for _, id := range []string{"k0", "none"} { // never seen, and known no more
		if _, err := w.Identify(t.Context(), storetest.Secret(id)); !errors.Is(err, errDown) {
			t.Errorf("%s: error is %v", id, err)
		}
	}
	w.wantCounts(t, map[string]int{"credential error": 2})
	w.move(time.Minute) // past TTL and grace
	if _, err := w.Identify(t.Context(), storetest.Secret("k1")); !errors.Is(err, errDown) {
		t.Errorf("past the grace: %v", err)
	}

	w.source.fail(nil)
	w.move(2 * time.Second)
	wantID(t, w.find(t, "k1"), "k1")
	wantID(t, w.find(t, "k0"), "k0")
	wantID(t, w.find(t, "none"), "")
	w.wantCounts(t, map[string]int{"credential error": 1, "credential miss": 3})
}

// What the source said is gone is not served again when the source fails later.
func TestCacheGoneIsNotStale(t *testing.T) {
	w := newWorld(t, store.CacheOptions{TTL: time.Second, NegativeTTL: time.Second})
	wantID(t, w.find(t, "k1"), "k1")
	if err := w.source.RevokeKey(t.Context(), "k1"); err != nil {
		t.Fatal(err)
	}
	w.move(2 * time.Second)
	wantID(t, w.find(t, "k1"), "")
	w.source.fail(errDown)
	w.move(2 * time.Second)
	if _, err := w.Identify(t.Context(), storetest.Secret("k1")); !errors.Is(err, errDown) {
		t.Errorf("error is %v", err)
	}
}

func TestCacheNoGrace(t *testing.T) {
	w := newWorld(t, store.CacheOptions{TTL: time.Second, StaleGrace: -1})
	w.find(t, "k1")
	w.source.fail(errDown)
	w.move(1200 * time.Millisecond)
	if _, err := w.Identify(t.Context(), storetest.Secret("k1")); !errors.Is(err, errDown) {
		t.Errorf("error is %v", err)
	}
}

// A forgotten one is gone, whatever the source is like.
func TestCacheForgottenIsNotStale(t *testing.T) {
	w := newWorld(t, store.CacheOptions{})
	w.find(t, "k1")
	w.ForgetConsumer("acme")
	w.source.fail(errDown)
	if _, err := w.Identify(t.Context(), storetest.Secret("k1")); !errors.Is(err, errDown) {
		t.Errorf("error is %v", err)
	}
}

func TestCacheDoesNotHammer(t *testing.T) {
	w := newWorld(t, store.CacheOptions{})
	w.source.fail(errDown)
	burst := func() {
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				for _, id := range []string{"k0", "k1", "k2"} {
					_, _ = w.Identify(t.Context(), storetest.Secret(id))
				}
				_, _ = w.Consumer(t.Context(), "acme")
			})
		}
		wg.Wait()
	}
	_, _ = w.Identify(t.Context(), storetest.Secret("k0"))
	w.wantQuestions(t, 1)
	want := 1
	for _, pause := range []time.Duration{250, 500, 1000, 1000} {
		w.move((pause - 1) * time.Millisecond)
		burst()
		w.wantQuestions(t, want)
		w.move(time.Millisecond)
		burst()
		want++
		w.wantQuestions(t, want)
	}
	w.source.fail(nil)
	w.move(time.Second)
	for _, id := range []string{"k0", "k1", "k2"} {
		wantID(t, w.find(t, id), id)
	}
}

// While the probe waits for a dead source, nobody else does.
func TestCacheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, store.CacheOptions{TTL: time.Second})
		w.find(t, "k1")
		w.source.fail(errDown)
		_, _ = w.Identify(t.Context(), storetest.Secret("k0"))
		w.move(2 * time.Second)
		release := w.source.hold()
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = w.Identify(t.Context(), storetest.Secret("k2")) })
		synctest.Wait()
		asked := w.source.questions()
		wantID(t, w.find(t, "k1"), "k1") // stale, at once
		if _, err := w.Identify(t.Context(), storetest.Secret("k0")); !errors.Is(err, errDown) {
			t.Errorf("error is %v", err)
		}
		w.wantQuestions(t, asked)
		release()
		wg.Wait()
	})
}

// A source that never answers is given up after a second.
func TestCacheFetchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, store.CacheOptions{})
		defer w.source.hold()()
		start := time.Now()
		_, err := w.Identify(t.Context(), storetest.Secret("k1"))
		if took := time.Since(start); took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// One bad value is no outage.
func TestCacheCorruptValue(t *testing.T) {
	w := newWorld(t, store.CacheOptions{})
	w.source.fail(store.ErrCorrupt)
	if _, err := w.Identify(t.Context(), storetest.Secret("k1")); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("error is %v", err)
	}
	w.source.fail(nil)
	wantID(t, w.find(t, "k0"), "k0")
}

// TestCacheRedisDies: real connections, a real death, and a return on the same port.
func TestCacheRedisDies(t *testing.T) {
	server := storetest.StartRedis(t)
	r := openRedis(t, server)
	fill := func() {
		seed(t, r)
	}
	fill()
	clock, counter := &clock{}, &counter{}
	c := store.NewCache(store.CacheOptions{Source: r, Now: clock.now, Count: counter.count})
	w := world{Cache: c, clock: clock, counter: counter}
	wantID(t, w.find(t, "k0"), "k0")
	w.wantCounts(t, map[string]int{"credential miss": 1})

	server.Kill()
	w.move(time.Minute)
	start := time.Now()
	for range 100 {
		wantID(t, w.find(t, "k0"), "k0")
	}
	if _, err := c.Identify(t.Context(), storetest.Secret("k1")); err == nil {
		t.Error("what was never seen is answered")
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("a dead Redis took %v", took)
	}
	w.wantCounts(t, map[string]int{"credential stale": 100, "credential error": 1})

	server.Restart(t)
	fill()
	storetest.Eventually(t, "the cache has recovered", func() bool {
		w.move(time.Second)
		_, err := c.Identify(t.Context(), storetest.Secret("k1"))
		return err == nil
	})
	w.counter.take()
	w.move(time.Minute)
	wantID(t, w.find(t, "k0"), "k0")
	w.wantCounts(t, map[string]int{"credential miss": 1})
}
