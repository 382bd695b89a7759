package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// Nothing is lost, and nothing forgotten in vain, when a connection is.
func TestFollowerReconnects(t *testing.T) {
	server := storetest.StartRedis(t)
	r, w := openRedis(t, server), newWire(t, server)
	rep := follow(t, w.open(t), store.FollowerOptions{})
	for _, cut := range []func(){
		func() { w.setCut(true); w.setCut(false) },
		func() { r.Client().Do(t.Context(), "client", "kill", "type", "normal", "skipme", "yes") },
	} {
		for range 3 {
			rep.forgetHeard()
			announce(t, r, store.KeyChanged, "k1")
			cut()
			waitApplied(t, r, announce(t, r, store.KeyChanged, "k2"))
			rep.wantHeard(t, "key k1", "key k2")
		}
	}
}

func TestFollowerHealth(t *testing.T) {
	server := storetest.StartRedis(t)
	r, w := openRedis(t, server), newWire(t, server)
	failures := make(chan string, 1000)
	w.setCut(true)
	rep := start(t, w.open(t), store.FollowerOptions{Failed: func(err error) { failures <- err.Error() }})
	attempts := func() {
		t.Helper()
		for range 2 {
			select {
			case <-failures:
			case <-time.After(30 * time.Second):
				t.Fatal("no attempt")
			}
		}
	}
	attempts()
	rep.move(4900 * time.Millisecond)
	attempts()
	rep.wantHeard(t)
	rep.move(100 * time.Millisecond)
	rep.waitFor(t, "healthy false") // it need not have been healthy before
	rep.move(time.Minute)
	attempts()
	w.setCut(false)
	rep.waitFor(t, "healthy true")
	rep.wantHeard(t, "healthy false", "reset", "healthy true")

	for range 2 {
		rep.forgetHeard()
		w.setCut(true)
		attempts()
		rep.move(5 * time.Second)
		rep.waitFor(t, "healthy false")
		announce(t, r, store.KeyChanged, "k1")
		last := announce(t, r, store.KeyChanged, "k2")
		w.setCut(false)
		waitApplied(t, r, last)
		rep.waitFor(t, "healthy true")
		rep.wantHeard(t, "healthy false", "key k1", "key k2", "healthy true") // not before it caught up
	}
}

// A connection that stands, and carries nothing, is as good as none.
func TestFollowerJammed(t *testing.T) {
	server := storetest.StartRedis(t)
	r, w := openRedis(t, server), newWire(t, server)
	rep := follow(t, w.open(t), store.FollowerOptions{Host: "far away"})
	waitApplied(t, r, announce(t, r, store.KeyChanged, "k1"))
	w.setJam(true)
	last := announce(t, r, store.KeyChanged, "k2")
	rep.move(5 * time.Second)
	rep.waitFor(t, "healthy false")

	storetest.Eventually(t, "it is not heard of", func() bool {
		list, _ := r.Replicas(t.Context())
		return len(list) == 1 && list[0].Seen > 3*time.Second
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	slow, err := r.WaitApplied(ctx, last)
	if err != nil || len(slow) != 1 || slow[0].ID != rep.ID() || slow[0].Host != "far away" || slow[0].Applied != last-1 {
		t.Errorf("waited for %d: %+v, %v", last, slow, err)
	}
	w.setJam(false)
	waitApplied(t, r, last)
	rep.waitFor(t, "healthy true")
	rep.wantHeard(t, "reset", "healthy true", "key k1", "healthy false", "key k2", "healthy true")
}

// Without changes being told, what is known is asked for again soon.
func TestCutReplicaRefusesRevoked(t *testing.T) {
	server := storetest.StartRedis(t)
	r, w := openRedis(t, server), newWire(t, server)
	fill(t, r, 1)
	var at clock
	c := store.NewCache(store.CacheOptions{Source: r, TTL: 30 * time.Second, Now: at.now})
	rep := follow(t, w.open(t), store.FollowerOptions{Apply: c.Apply, Reset: c.ForgetAll, Healthy: c.Followed})
	wantKnown(t, c, "k000", true)
	w.setCut(true)
	if err := store.Announce(r, r).RevokeKey(t.Context(), "k000"); err != nil {
		t.Fatal(err)
	}
	wantKnown(t, c, "k000", true) // it cannot know
	at.move(2 * time.Second)
	wantKnown(t, c, "k000", true) // nor does it suspect anything
	rep.move(5 * time.Second)
	rep.waitFor(t, "healthy false")
	wantKnown(t, c, "k000", false)
}
