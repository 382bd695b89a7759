package store_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// replica follows the changes, and notes all that it hears.
type replica struct {
	*store.Follower
	*clock
	stop func() // to be called once or more

	mu    sync.Mutex
	heard []string
	lags  []time.Duration
}

// follow starts a replica, and waits until it follows.
func follow(t testing.TB, r *store.Redis, o store.FollowerOptions) *replica {
	t.Helper()
	rep := start(t, r, o)
	rep.waitFor(t, "healthy true")
	return rep
}

func start(t testing.TB, r *store.Redis, o store.FollowerOptions) *replica {
	t.Helper()
	rep := &replica{clock: &clock{}}
	apply, reset, healthy := o.Apply, o.Reset, o.Healthy
	o.Redis, o.Now = r, rep.now
	o.Apply = func(c store.Change) {
		if apply != nil {
			apply(c)
		}
		rep.note(string(c.Kind) + " " + c.ID)
	}
	o.Reset = func() {
		if reset != nil {
			reset()
		}
		rep.note("reset")
	}
	o.Healthy = func(yes bool) {
		if healthy != nil {
			healthy(yes)
		}
		rep.note(fmt.Sprint("healthy ", yes))
	}
	o.Lag = func(lag time.Duration) {
		rep.mu.Lock()
		defer rep.mu.Unlock()
		rep.lags = append(rep.lags, lag)
	}
	rep.Follower = store.NewFollower(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		rep.Run(ctx)
	}()
	rep.stop = func() { cancel(); <-done }
	t.Cleanup(rep.stop)
	return rep
}

func (rep *replica) note(what string) {
	rep.mu.Lock()
	defer rep.mu.Unlock()
	rep.heard = append(rep.heard, what)
}

func (rep *replica) all() []string {
	rep.mu.Lock()
	defer rep.mu.Unlock()
	return slices.Clone(rep.heard)
}

func (rep *replica) forgetHeard() {
	rep.mu.Lock()
	defer rep.mu.Unlock()
	rep.heard = nil
}

func (rep *replica) waitFor(t testing.TB, what string) {
	t.Helper()
	storetest.Eventually(t, "a replica hears "+what, func() bool { return slices.Contains(rep.all(), what) })
}

func (rep *replica) wantHeard(t testing.TB, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, rep.all()); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
}

func announce(t testing.TB, r *store.Redis, kind store.ChangeKind, id string) int64 {
	t.Helper()
	n, err := r.Announce(t.Context(), store.Change{Kind: kind, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// waitApplied waits until all replicas that are listed have applied a change.
func waitApplied(t testing.TB, r *store.Redis, n int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	slow, err := r.WaitApplied(ctx, n)
	if err != nil || len(slow) > 0 {
		t.Fatalf("not applied: %+v, %v", slow, err)
	}
}

func TestFollowerAppliesInOrder(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	announce(t, r, store.KeyChanged, "before")
	rep := follow(t, r, store.FollowerOptions{})
	want := []string{"reset", "healthy true"}
	var n int64
	for i := range 2500 { // more than one read takes
		id := fmt.Sprint("k", i)
		n = announce(t, r, store.KeyChanged, id)
		want = append(want, "key "+id)
	}
	announce(t, r, store.ConsumerChanged, "acme")
	announce(t, r, store.TokenChanged, "jti:0123")
	last := announce(t, r, store.EverythingChanged, "")
	if last != n+3 {
		t.Errorf("numbers %d and, three changes later, %d", n, last)
	}
	waitApplied(t, r, last)
	rep.wantHeard(t, append(want, "consumer acme", "token jti:0123", "all ")...)
	rep.stop()
	for _, lag := range rep.lags {
		if lag < 0 || lag > 10*time.Second {
			t.Errorf("lag %v", lag)
		}
	}
	if len(rep.lags) == 0 {
		t.Error("no lag was told")
	}
}

// A log that nobody writes to is no reason to distrust what is known.
func TestFollowerIdle(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	rep := follow(t, r, store.FollowerOptions{Host: "host one"})
	seen := func() store.Replica {
		list, err := r.Replicas(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatalf("replicas: %+v, %v", list, err)
		}
		return list[0]
	}
	for range 3 { // it beats
		storetest.Eventually(t, "some time passes", func() bool { return seen().Seen > 200*time.Millisecond })
		rep.move(time.Minute) // no time without changes is too long
		storetest.Eventually(t, "a beat", func() bool { return seen().Seen < 100*time.Millisecond })
	}
	if s := seen(); s.ID != rep.ID() || s.Host != "host one" || s.Applied != 0 {
		t.Errorf("replica %+v", s)
	}
	rep.wantHeard(t, "reset", "healthy true")
	begin := time.Now()
	rep.stop()
	if took := time.Since(begin); took > 400*time.Millisecond {
		t.Errorf("stopping took %v: the read that waits was waited for", took)
	}
	if list, err := r.Replicas(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("replicas after the end: %+v, %v", list, err)
	}
}
