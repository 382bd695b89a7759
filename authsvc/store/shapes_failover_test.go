package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

// Where a server dies, or hangs, and another comes in its place, all goes on there; also when
// the first one is back and has not heard of that yet.
func TestFailover(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *shape{
		"cluster":  func(t testing.TB) *shape { return clusterShape(storetest.StartCluster(t, 3, 1)) },
		"sentinel": func(t testing.TB) *shape { return sentinelShape(storetest.StartSentinel(t)) },
	} {
		t.Run(name+" killed", func(t *testing.T) {
			testFailover(t, start(t), (*storetest.Redis).Kill, func(r *storetest.Redis) { r.Restart(t) })
		})
		t.Run(name+" frozen", func(t *testing.T) {
			testFailover(t, start(t), (*storetest.Redis).Freeze, (*storetest.Redis).Thaw)
		})
	}
}

func testFailover(t *testing.T, s *shape, down, up func(*storetest.Redis)) {
	r := s.impatient(t)
	s.stand(t, r)
	rep := follow(t, s.impatient(t), store.FollowerOptions{})
	waitApplied(t, r, announce(t, r, store.KeyChanged, "k0"))
	first := s.has(t, changesLog)
	inSync(t, first)

	down(first)
	began := time.Now()
	storetest.Eventually(t, "all goes on", func() bool { return works(t.Context(), r) == nil })
	t.Logf("went on after %v", time.Since(began))
	if second := s.has(t, changesLog); second == first {
		t.Error("no other has come")
	}
	waitApplied(t, r, announce(t, r, store.KeyChanged, "k1"))
	rep.waitFor(t, "key k1")

	up(first)
	for range 50 {
		if err := works(t.Context(), r); err != nil {
			t.Fatalf("the first is back: %v", err)
		}
	}
	waitApplied(t, r, announce(t, r, store.KeyChanged, "k2"))
	rep.waitFor(t, "key k2")
}

// impatient opens a store that gives up soon, as a sidecar's.
func (s *shape) impatient(t testing.TB) *store.Redis {
	t.Helper()
	r, err := store.OpenRedis(s.url + "?dial_timeout=1s&read_timeout=1s&write_timeout=1s&pool_timeout=1s")
	if err != nil {
		t.Fatal(err)
	}
	r.Now = storetest.Clock
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// inSync waits until a master's replica has all that it has.
func inSync(t testing.TB, master *storetest.Redis) {
	t.Helper()
	storetest.Eventually(t, "the replica has it all", func() bool {
		// WAIT is for what its own connection wrote.
		conn := master.Admin().Conn()
		defer func() { _ = conn.Close() }()
		n, err := conn.Publish(t.Context(), "nobody", "listens").Result()
		if err != nil || n != 0 {
			return false
		}
		acknowledged, err := conn.Wait(t.Context(), 1, time.Second).Result()
		return err == nil && acknowledged == 1
	})
}

// works does some of everything with what stand has made.
func works(ctx context.Context, r *store.Redis) error {
	found, err := r.Credential(ctx, storetest.Hash("k0"))
	errs := []error{is(found != nil, err)}
	_, err = r.Spend(ctx, []policy.Charge{storetest.Charge(storetest.Slow("l", 1_000_000))})
	errs = append(errs, err)
	_, err = r.Revoked(ctx, storetest.Token("t1", "alice", "s1"))
	errs = append(errs, err, update("acme", "")(ctx, r), r.Ping(ctx))
	_, err = r.AppendAudit(ctx, store.AuditRecord{Actor: "a", Outcome: "done"})
	return errors.Join(append(errs, err)...)
}
