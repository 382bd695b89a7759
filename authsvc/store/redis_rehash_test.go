package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

// movedHash is where rehash moves the key of an id.
func movedHash(id string) string { return pepperOf(1).HashKey(storetest.Secret(id)) }

// either is what is found of a key under its new hash, or else under its former one.
func either(t *testing.T, r *store.Redis, id string) *store.Credential {
	t.Helper()
	for _, hash := range []string{movedHash(id), storetest.Hash(id)} {
		found, err := r.Credential(t.Context(), hash)
		if err != nil {
			t.Fatal(err)
		}
		if found != nil {
			return found
		}
	}
	return nil
}

// TestRedisRehashOvertaken runs two movers of a key against whoever ends or changes it: each
// makes some round trips, and then they end in another order.
func TestRedisRehashOvertaken(t *testing.T) {
	server := storetest.StartRedis(t)
	r := openRedis(t, server)
	movers, other := [2]*stepper{newStepper(t, server), newStepper(t, server)}, newStepper(t, server)
	for name, tt := range map[string]struct {
		op   operation
		want func(*store.Credential) bool // of what is found in the end
	}{
		"revoke":          {revoke("k0"), func(c *store.Credential) bool { return c == nil }},
		"delete":          {remove("acme"), func(c *store.Credential) bool { return c == nil }},
		"update key":      {updateKey("k0", 0), func(c *store.Credential) bool { return c != nil && c.Key.Version == 2 && len(c.Key.Groups) == 1 }},
		"update consumer": {update("acme", "x"), func(c *store.Credential) bool { return c != nil && c.Consumer.Disabled }},
	} {
		seed(t, r)
		for _, op := range []operation{rehash("k0"), tt.op} { // so that the server knows the scripts
			_ = op(t.Context(), r)
		}
		seed(t, r)
		reset, schedules := snapshot(t, r.Client()), 0
		for i, moreA := 1, true; moreA; i++ {
			for j, moreB := 0, true; moreB; j++ {
				for k, moreC := 0, true; moreC; k++ {
					for last := range movers {
						reset()
						var failed error
						movers[0].begin(t.Context(), rehash("k0"))
						moreA = movers[0].steps(i)
						other.begin(t.Context(), func(ctx context.Context, r *store.Redis) error {
							failed = tt.op(ctx, r)
							return failed
						})
						moreB = other.steps(j)
						movers[1].begin(t.Context(), rehash("k0"))
						moreC = movers[1].steps(k)
						movers[1-last].finish()
						other.finish()
						movers[last].finish()
						schedules++
						at := fmt.Sprintf("%d steps of a mover, %d of %q, %d of another mover, which ends last: %v", i, j, name, k, last == 1)
						if broken := audit(t, r); broken != "" || failed != nil {
							t.Fatalf("%s: %v, %s", at, failed, broken)
						}
						if found := either(t, r, "k0"); !tt.want(found) {
							t.Fatalf("%s: %+v", at, found)
						}
					}
				}
			}
		}
		t.Logf("%s: %d schedules", name, schedules)
	}
}

// TestRedisRehashSeen lets a mover make round trips before each question of somebody who
// presents the key: that is always found.
func TestRedisRehashSeen(t *testing.T) {
	server := storetest.StartRedis(t)
	r, mover, reader := openRedis(t, server), newStepper(t, server), newStepper(t, server)
	seed(t, r)
	_ = rehash("k0")(t.Context(), r) // so that the server knows the scripts
	seed(t, r)
	reset := snapshot(t, r.Client())
	peppers := store.Peppers{Current: pepperOf(1), Source: reader.Redis}
	between := 0
	for i, more := 0, true; more; i++ {
		for j, moreJ := 0, true; moreJ; j++ {
			for k, moreK := 0, true; moreK; k++ {
				reset()
				var found *store.Credential
				var err error
				mover.begin(t.Context(), rehash("k0"))
				more = mover.steps(i)
				reader.begin(t.Context(), func(ctx context.Context, _ *store.Redis) error {
					found, err = peppers.Find(ctx, storetest.Secret("k0"))
					return err
				})
				reader.steps(1)
				moreJ = mover.steps(j)
				if reader.steps(1) && j > 0 {
					between++
				}
				moreK = mover.steps(k)
				reader.finish()
				mover.finish()
				if found == nil || err != nil {
					t.Fatalf("%d, %d and %d steps: nobody has it, %v", i, j, k, err)
				}
			}
		}
	}
	if between == 0 {
		t.Error("the key never moved between two questions")
	}
}

// TestRedisRehashCutShort kills a mover after each of its round trips. The key is good all
// the time, and whoever comes next moves it.
func TestRedisRehashCutShort(t *testing.T) {
	server := storetest.StartRedis(t)
	r, s := openRedis(t, server), newStepper(t, server)
	for i, more := 0, true; more; i++ {
		seed(t, r)
		s.begin(t.Context(), rehash("k0"))
		more = s.steps(i)
		s.die()
		found, err := (store.Peppers{Current: pepperOf(1), Source: r}).Find(t.Context(), storetest.Secret("k0"))
		if broken := audit(t, r); found == nil || err != nil || broken != "" {
			t.Fatalf("cut short after %d steps: %+v, %v, %s", i, found, err, broken)
		}
		if k, err := r.Key(t.Context(), "k0"); k == nil || err != nil {
			t.Errorf("cut short after %d steps: by its id: %v, %v", i, k, err)
		}
		if err := rehash("k0")(t.Context(), r); err != nil {
			t.Errorf("cut short after %d steps, then again: %v", i, err)
		}
		for hash, good := range map[string]bool{storetest.Hash("k0"): false, movedHash("k0"): true} {
			if found, err := r.Credential(t.Context(), hash); (found != nil) != good || err != nil {
				t.Errorf("cut short after %d steps, then moved: %s: %v, %v", i, hash, found, err)
			}
		}
	}
}

// TestRedisRehashExpired takes the reservation away from a mover that was held up, and gives
// the hash to another key.
func TestRedisRehashExpired(t *testing.T) {
	server := storetest.StartRedis(t)
	r, s := openRedis(t, server), newStepper(t, server)
	for i, more := 1, true; more; i++ {
		seed(t, r)
		s.begin(t.Context(), rehash("k0"))
		more = s.steps(i)
		name := "stile:key:" + movedHash("k0")
		taken := false
		if r.Client().TTL(t.Context(), name).Val() > 0 {
			r.Client().Del(t.Context(), name)
			k := storetest.Key("k9", "other")
			k.Hash, taken = movedHash("k0"), true
			if err := r.CreateKey(t.Context(), k); err != nil {
				t.Fatal(err)
			}
		}
		s.finish()
		if broken := audit(t, r); broken != "" {
			t.Fatalf("after %d steps: %s", i, broken)
		}
		if found, _ := r.Credential(t.Context(), movedHash("k0")); taken && (found == nil || found.Key.ID != "k9") {
			t.Errorf("after %d steps: %+v", i, found)
		}
		for _, op := range []operation{update("acme", "x"), revoke("k0")} {
			if err := op(t.Context(), r); err != nil {
				t.Errorf("after %d steps: %v", i, err)
			}
		}
		if found, _ := r.Credential(t.Context(), storetest.Hash("k0")); found != nil {
			t.Errorf("after %d steps: revoked and good", i)
		}
	}
}

// TestRedisRehashRace moves keys up through three peppers under the eyes of those who use
// them, and revokes them while they move.
func TestRedisRehashRace(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	seed(t, r)
	rounds := 300
	if testing.Short() {
		rounds = 30
	}
	for round := range rounds {
		id := fmt.Sprintf("r%d", round)
		if err := r.CreateKey(t.Context(), storetest.Key(id, "acme")); err != nil {
			t.Fatal(err)
		}
		var done atomic.Bool
		var users, movers sync.WaitGroup
		peppers := store.Peppers{Current: pepperOf(1), Source: r}
		for range 2 {
			users.Go(func() {
				for !done.Load() {
					if found, err := peppers.Find(t.Context(), storetest.Secret(id)); found == nil || err != nil {
						t.Errorf("round %d: nobody has it, %v", round, err)
						return
					}
				}
			})
		}
		for range 2 {
			movers.Go(func() { mayLose(t, rehash(id)(t.Context(), r)) })
		}
		movers.Wait()
		done.Store(true)
		users.Wait()
		for version := range 2 {
			movers.Go(func() {
				mayLose(t, r.RehashKey(t.Context(), id, movedHash(id), pepperOf(2+version).HashKey(storetest.Secret(id))))
			})
		}
		if err := r.RevokeKey(t.Context(), id); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		wantNobody(t, r, id)
		movers.Wait()
		wantNobody(t, r, id)
	}
	if broken := audit(t, r); broken != "" {
		t.Error(broken)
	}
}

// mayLose is for a move that another one, or a revocation, may be faster than.
func mayLose(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

func wantNobody(t *testing.T, r *store.Redis, id string) {
	t.Helper()
	for version := range 4 {
		pepper := pepperOf(version)
		if version == 0 {
			pepper = policy.Pepper{}
		}
		if found, err := r.Credential(t.Context(), pepper.HashKey(storetest.Secret(id))); found != nil || err != nil {
			t.Errorf("revoked, and found under pepper %d: %+v, %v", version, found, err)
		}
	}
}
