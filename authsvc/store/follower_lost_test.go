package store_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

const changesLog = "stile:{sys}:changes"

// Where changes may have been missed, everything is forgotten, once, and what comes after
// is followed again.
func TestFollowerForgetsAll(t *testing.T) {
	do := func(args ...any) func(testing.TB, *store.Redis) {
		return func(t testing.TB, r *store.Redis) {
			t.Helper()
			if err := r.Client().Do(t.Context(), args...).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, damage := range map[string]func(testing.TB, *store.Redis){
		"flushed":               do("flushall"),
		"log deleted":           do("del", changesLog),
		"epoch changed":         do("set", "stile:{sys}:epoch", "another"),
		"count set back":        do("set", "stile:{sys}:change-seq", "1"),
		"count ahead":           do("incrby", "stile:{sys}:change-seq", "5"),
		"entry without fields":  do("xadd", changesLog, "*", "x", "y"),
		"entry without kind":    do("xadd", changesLog, "*", "epoch", "e", "n", "4", "id", "k1"),
		"number is none":        do("xadd", changesLog, "*", "epoch", "e", "n", "four", "kind", "key", "id", "k1"),
		"entry of another":      do("xadd", changesLog, "*", "epoch", "e", "n", "4", "kind", "key", "id", "k1"),
		"ids that went forward": do("xsetid", changesLog, "99999999999999-0"),
	} {
		t.Run(name, func(t *testing.T) {
			r := openRedis(t, storetest.StartRedis(t))
			rep := follow(t, r, store.FollowerOptions{})
			for range 3 {
				announce(t, r, store.KeyChanged, "k1")
			}
			waitApplied(t, r, 3)
			rep.forgetHeard()
			damage(t, r)
			rep.waitFor(t, "reset")
			waitApplied(t, r, announce(t, r, store.KeyChanged, "k2"))
			rep.wantHeard(t, "reset", "key k2")
		})
	}
}

// What a newer version means is not known here, and its place in the log is.
func TestFollowerUnknownKind(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	rep := follow(t, r, store.FollowerOptions{})
	db := r.Client()
	epoch := db.Get(t.Context(), "stile:{sys}:epoch").Val()
	add := func(n int, kind, id string) {
		db.Set(t.Context(), "stile:{sys}:change-seq", n, 0)
		err := db.XAdd(t.Context(), &redis.XAddArgs{Stream: changesLog, Values: []any{"epoch", epoch, "n", n, "kind", kind, "id", id}}).Err()
		if err != nil {
			t.Fatal(err)
		}
	}
	add(1, "certificate", "c1")
	add(2, "key", "no key\x00")
	add(3, "key", "k1")
	waitApplied(t, r, 3)
	rep.wantHeard(t, "reset", "healthy true", "all ", "all ", "key k1")
}

// A replica that was away for so long that the log has lost what it did not read.
func TestFollowerTrimmed(t *testing.T) {
	for name, keep := range map[string]int64{"some are left": 2, "none is left": 0} {
		t.Run(name, func(t *testing.T) {
			server := storetest.StartRedis(t)
			r, w := openRedis(t, server), newWire(t, server)
			rep := follow(t, w.open(t), store.FollowerOptions{})
			waitApplied(t, r, announce(t, r, store.KeyChanged, "k1"))
			w.setCut(true)
			var last int64
			for range 5 {
				last = announce(t, r, store.KeyChanged, "k2")
			}
			if err := r.Client().XTrimMaxLen(t.Context(), changesLog, keep).Err(); err != nil {
				t.Fatal(err)
			}
			w.setCut(false)
			waitApplied(t, r, last)
			waitApplied(t, r, announce(t, r, store.KeyChanged, "k3"))
			rep.wantHeard(t, "reset", "healthy true", "key k1", "reset", "key k3")
		})
	}
}

func TestFollowerTrimsNothingThatWasRead(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	rep := follow(t, r, store.FollowerOptions{})
	waitApplied(t, r, announce(t, r, store.KeyChanged, "k1"))
	if err := r.Client().XTrimMaxLen(t.Context(), changesLog, 0).Err(); err != nil {
		t.Fatal(err)
	}
	waitApplied(t, r, announce(t, r, store.KeyChanged, "k2"))
	rep.wantHeard(t, "reset", "healthy true", "key k1", "key k2")
}

// The server comes back with nothing.
func TestFollowerServerLosesAll(t *testing.T) {
	server := storetest.StartRedis(t)
	r := openRedis(t, server)
	rep := follow(t, r, store.FollowerOptions{})
	waitApplied(t, r, announce(t, r, store.KeyChanged, "k1"))
	server.Kill()
	server.Restart(t)
	storetest.Eventually(t, "a second reset", func() bool { return len(rep.all()) > 3 })
	waitApplied(t, r, announce(t, r, store.KeyChanged, "k2"))
	rep.wantHeard(t, "reset", "healthy true", "key k1", "reset", "key k2")
}

// A failover to a copy that was behind: the same log, which ends earlier and goes on to the
// same numbers with other changes, even, where its clock is behind, with smaller ids.
func TestFollowerSetBack(t *testing.T) {
	for name, ids := range map[string][]string{
		"the log ends earlier":        {},
		"the same number":             {"30-0"},
		"higher numbers":              {"30-0", "40-0"},
		"one smaller id":              {"15-0", "40-0"},
		"smaller ids, higher numbers": {"15-0", "16-0"},
		"a smaller id, the same end":  {"15-0"},
	} {
		t.Run(name, func(t *testing.T) {
			server := storetest.StartRedis(t)
			db, w := openRedis(t, server).Client(), newWire(t, server)
			rep := follow(t, w.open(t), store.FollowerOptions{})
			n := 0
			add := func(id, key string) {
				n++
				db.Set(t.Context(), "stile:{sys}:change-seq", n, 0)
				values := []any{"epoch", db.Get(t.Context(), "stile:{sys}:epoch").Val(), "n", n, "kind", "key", "id", key}
				if err := db.XAdd(t.Context(), &redis.XAddArgs{Stream: changesLog, ID: id, Values: values}).Err(); err != nil {
					t.Fatal(err)
				}
			}
			add("10-0", "k1")
			rep.waitFor(t, "key k1")
			back := snapshot(t, db)
			add("20-0", "lost")
			rep.waitFor(t, "key lost")
			w.setCut(true)
			rep.forgetHeard()
			back()
			n = 1
			for _, id := range ids {
				add(id, "other")
			}
			w.setCut(false)
			rep.waitFor(t, "reset")
			add("50-0", "after")
			rep.waitFor(t, "key after")
			rep.wantHeard(t, "reset", "key after")
		})
	}
}
