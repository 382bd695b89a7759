package store_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

// span is when something was decided: between these times since the test began.
type span struct{ from, to time.Duration }

// spendInBursts asks about as often as the rate allows for some time, so that there are
// leases; pauses while they are still held; takes all it can; and begins anew. It answers
// when it was allowed.
func spendInBursts(t *testing.T, m policy.Meter, c policy.Charge, begin time.Time, took time.Duration) (allowed []span) {
	tick := time.NewTicker(6 * time.Millisecond)
	defer tick.Stop()
	for now := time.Since(begin); now < took; now = time.Since(begin) {
		within, flood := now%cycle < cycle*2/3, now%cycle >= cycle*5/6
		if !flood {
			<-tick.C
		}
		if !within && !flood {
			continue
		}
		now = time.Since(begin)
		if _, ok := storetest.Spend(t, m, c); ok {
			allowed = append(allowed, span{now, time.Since(begin)})
		}
	}
	return allowed
}

const cycle = 900 * time.Millisecond

// What a rate allows by leases, in any time however it begins: the burst, what comes in
// meanwhile, and the leases that were held at its beginning, a quarter of the burst each.
func TestMeterLeasesUnderRefill(t *testing.T) {
	const replicas, perSecond, burst = 3, 2000, 1000
	const took = 4 * cycle
	server := storetest.StartRedis(t)
	c := localSync(&policy.Limit{Name: "refilled", Rate: policy.Rate{Count: perSecond, Period: time.Second, Burst: burst}})
	var counted results
	var meters []policy.Meter
	for range replicas {
		m, _ := running(t, server, &counted)
		meters = append(meters, m)
	}
	begin := time.Now()
	var mu sync.Mutex
	var allowed []span
	var wg sync.WaitGroup
	for _, m := range meters {
		for range 4 {
			wg.Go(func() {
				spans := spendInBursts(t, m, c, begin, took)
				mu.Lock()
				defer mu.Unlock()
				allowed = append(allowed, spans...)
			})
		}
	}
	wg.Wait()
	how := counted.take()
	t.Logf("%d allowed in %v, %v", len(allowed), took, how)
	if how["leased"] < burst/4 || len(allowed) < 3*burst {
		t.Errorf("few leases were used, or next to nothing allowed")
	}
	const step = 25 * time.Millisecond
	for from := time.Duration(0); from < took; from += step {
		for to := from + step; to <= took+step; to += step {
			bound := burst + int((to-from).Seconds()*perSecond) + 1
			if from > 0 { // at first there are no leases
				bound += replicas * burst / 4
			}
			n := 0
			for _, s := range allowed {
				if s.from >= from && s.to <= to {
					n++
				}
			}
			if n > bound {
				t.Errorf("%d allowed from %v to %v, at most %d", n, from, to, bound)
			}
		}
	}
}
