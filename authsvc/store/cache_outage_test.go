package store_test

import (
	"context"
	"errors"
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

// A source that failed is not asked for a while by those who can do without.
func TestCacheSparesASource(t *testing.T) {
	w := newWorld(t, store.CacheOptions{TTL: time.Second})
	w.find(t, "k1")
	w.move(2 * time.Second)
	w.source.fail(errDown)
	wantID(t, w.find(t, "k1"), "k1")
	asked := w.source.questions()
	for range 50 {
		wantID(t, w.find(t, "k1"), "k1")
	}
	w.wantQuestions(t, asked)
	if _, err := w.Identify(t.Context(), storetest.Secret("k0")); !errors.Is(err, errDown) {
		t.Errorf("one that was never seen: %v", err)
	}
	w.wantQuestions(t, asked+1)
	w.move(100 * time.Millisecond)
	wantID(t, w.find(t, "k1"), "k1")
	w.wantQuestions(t, asked+2)
}

// What is in use is asked for before it has to be, and nobody waits for the answer.
func TestCacheAsksAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, store.CacheOptions{TTL: 10 * time.Second})
		w.find(t, "k1")
		asked := w.source.questions()
		w.move(7900 * time.Millisecond) // with the jitter, 9 to 11 s
		w.find(t, "k1")
		w.wantQuestions(t, asked)
		release := w.source.hold()
		for w.source.questions() == asked { // its time is a matter of chance
			w.move(100 * time.Millisecond)
			wantID(t, w.find(t, "k1"), "k1")
			synctest.Wait()
		}
		for range 50 {
			wantID(t, w.find(t, "k1"), "k1")
		}
		w.wantQuestions(t, asked+1)
		release()
		synctest.Wait()
		w.move(7900 * time.Millisecond)
		w.find(t, "k1")
		w.wantQuestions(t, asked+1)
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
	storetest.Eventually(t, "Redis answers", func() bool { return r.Ping(t.Context()) == nil })
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
