package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

func TestMeter(t *testing.T) {
	storetest.RunMeters(t, func(testing.TB) storetest.Meter {
		return store.NewMeter(store.MeterOptions{Remote: store.NewMemory()})
	})
}

// results counts how slots were decided.
type results struct {
	mu sync.Mutex
	n  map[string]int
}

func (r *results) count(result string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == nil {
		r.n = map[string]int{}
	}
	r.n[result]++
}

// take is what has been counted since it was last asked.
func (r *results) take() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.n
	r.n = nil
	return n
}

// onError is a charge whose limit says what to do while the store does not answer.
func onError(name string, burst int64, rule policy.OnStoreError) policy.Charge {
	l := storetest.Slow(name, burst)
	l.OnStoreError = rule
	return storetest.Charge(l)
}

func TestMeterWithoutStore(t *testing.T) {
	server := storetest.StartRedis(t)
	r := openRedis(t, server)
	var counted results
	m := store.NewMeter(store.MeterOptions{Remote: r, Count: counted.count})
	local, allow, deny := onError("local", 2, policy.OnErrorLocal), onError("allow", 2, policy.OnErrorAllow), onError("deny", 9, policy.OnErrorDeny)
	for _, c := range []policy.Charge{local, allow, deny} {
		if _, ok := storetest.Spend(t, m, c); !ok {
			t.Errorf("%s is refused", c.Limit.Name)
		}
	}
	server.Kill()
	for _, c := range [][]policy.Charge{{deny}, {local, deny}, {deny, allow}, {{Limit: &policy.Limit{Name: "x", Rate: deny.Limit.Rate}}}} {
		if balances, err := m.Spend(t.Context(), c); err == nil || balances != nil {
			t.Errorf("denied: %v, %v", balances, err)
		}
	}
	for i, want := range []bool{true, true, false} { // in this process alone, from the beginning
		balances, ok := storetest.Spend(t, m, local, allow)
		if ok != want || balances[0].Remaining != max(0, int64(1-i)) || !balances[1].Allowed || balances[1].Remaining != 2 {
			t.Errorf("%d: %+v", i, balances)
		}
		if _, ok := storetest.Spend(t, m, allow); !ok {
			t.Error("allow does not")
		}
	}
	want := map[string]int{"exact": 3, "error": 4, "local": 3, "allowed": 3}
	for result, n := range counted.take() {
		if n != want[result] {
			t.Errorf("%d %s, not %d", n, result, want[result])
		}
	}

	server.Restart(t)
	storetest.Eventually(t, "it counts exactly again", func() bool {
		_, err := m.Spend(t.Context(), []policy.Charge{deny})
		return err == nil
	})
}

func TestMeterDoesNotQueue(t *testing.T) {
	server := storetest.StartRedis(t)
	m := store.NewMeter(store.MeterOptions{Remote: openRedis(t, server)})
	c := onError("l", 1_000, policy.OnErrorLocal)
	server.Freeze()
	begin := time.Now()
	for range 500 { // each alone would be two minutes
		storetest.Spend(t, m, c)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("500 requests on a frozen store took %v", took)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Spend(gone, []policy.Charge{c}); !errors.Is(err, context.Canceled) {
		t.Errorf("for a client that went away: %v", err)
	}
}

// running is a meter of a replica, with leases.
func running(t testing.TB, server *storetest.Redis, counted *results) (m *store.Meter, stop func()) {
	t.Helper()
	m = store.NewMeter(store.MeterOptions{Remote: patient(t, server), Timeout: 30 * time.Second, Count: counted.count})
	return m, run(t, m)
}

// run renews leases and pays debts until it is stopped.
func run(t testing.TB, m *store.Meter) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Run(ctx)
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func localSync(l *policy.Limit) policy.Charge {
	l.Mode, l.OnStoreError = policy.LocalSync, policy.OnErrorDeny
	return storetest.Charge(l)
}

// Leases were paid for: however many replicas there are, what does not refill is sold once,
// and in the end all of it.
func TestMeterLeasesNeverOversell(t *testing.T) {
	server := storetest.StartRedis(t)
	var counted results
	var meters []policy.Meter
	var stops []func()
	for range 3 {
		m, stop := running(t, server, &counted)
		meters, stops = append(meters, m), append(stops, stop)
	}
	const n = 50_000
	for _, l := range []*policy.Limit{storetest.Yearly("quota", n), {Name: "rate", Rate: policy.Rate{Count: 1, Period: time.Hour, Burst: n}}} {
		c := localSync(l)
		counted.take()
		allowed := flood(t, meters, 16, 2*n/48, c)
		how := counted.take()
		t.Logf("%s: %d allowed, %v", l.Name, allowed, how)
		if allowed > n || allowed < n/2 {
			t.Errorf("%d allowed of %d", allowed, n)
		}
		if how["leased"] == 0 {
			t.Error("no lease was used")
		}
		storetest.Eventually(t, "all leases are given back and spent", func() bool {
			allowed += flood(t, meters, 1, 50, c)
			return allowed >= n
		})
		if allowed != n {
			t.Errorf("%d allowed of %d", allowed, n)
		}
	}
	for _, stop := range stops {
		stop()
	}
}

func TestMeterGivesLeasesBack(t *testing.T) {
	server := storetest.StartRedis(t)
	var counted results
	m, stop := running(t, server, &counted)
	c := localSync(storetest.Yearly("quota", 1_000_000))
	spent := int64(0)
	storetest.Eventually(t, "there is a lease", func() bool {
		storetest.Spend(t, m, c)
		spent++
		return counted.take()["leased"] > 0
	})
	stop()
	balances, err := m.Peek(t.Context(), []policy.Charge{c})
	if err != nil || balances[0].Remaining != 1_000_000-spent-1 {
		t.Errorf("after %d, %+v, %v", spent, balances, err)
	}
	counted.take()
	storetest.Spend(t, m, c)
	if how := counted.take(); how["exact"] != 1 {
		t.Errorf("after its end: %v", how)
	}
}

// An exact limit beside it makes a slot exact.
func TestMeterMixedSlot(t *testing.T) {
	var counted results
	m, _ := running(t, storetest.StartRedis(t), &counted)
	loose, exact := localSync(storetest.Yearly("loose", 1000)), storetest.Charge(storetest.Slow("exact", 20))
	if allowed := flood(t, []policy.Meter{m}, 4, 10, loose, exact); allowed != 20 {
		t.Errorf("%d allowed", allowed)
	}
	if how := counted.take(); how["exact"] != 40 || len(how) != 1 {
		t.Errorf("decided %v", how)
	}
}
