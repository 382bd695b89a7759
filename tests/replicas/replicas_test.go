package replicas

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stile-gate/stile/tests/servers"
)

func TestLimitsAreExactTogether(t *testing.T) {
	s := newStand(t)
	for round, want := range []int64{100, 100} { // 100 a day, in buckets of 100; 300 a year leaves room
		consumer := fmt.Sprintf("acme-%d", round)
		s.consumer(t, consumer)
		_, key := s.key(t, consumer)
		var allowed, limited atomic.Int64
		var wg sync.WaitGroup
		for worker := range replicas * 64 {
			wg.Go(func() {
				for range 4 {
					status, _, err := s.ask(worker%replicas, "/limited", key)
					switch {
					case err != nil:
						t.Error(err)
					case status == http.StatusOK:
						allowed.Add(1)
					case status == http.StatusTooManyRequests:
						limited.Add(1)
					default:
						t.Errorf("answered %d", status)
					}
				}
			})
		}
		wg.Wait()
		if allowed.Load() != want || limited.Load() != replicas*64*4-want {
			t.Errorf("%d allowed and %d limited, want %d allowed", allowed.Load(), limited.Load(), want)
		}
	}
}

func TestARevokedKeyIsRefusedEverywhereAtOnce(t *testing.T) {
	s := newStand(t)
	s.underLoad(t)
	s.consumer(t, "acme")
	rounds := 1000
	if testing.Short() {
		rounds = 50
	}
	took := make([]time.Duration, rounds)
	for i := range took {
		id, key := s.key(t, "acme")
		for member := range s.members {
			s.wants(t, member, "/open", key, http.StatusOK)
		}
		start := time.Now()
		s.admin(t, i%replicas, "DELETE /v1/keys/"+id, nil)
		took[i] = s.refusedEverywhere(t, key, start)
	}
	slices.Sort(took)
	p50, p99, most := took[rounds/2], took[rounds*99/100], took[rounds-1]
	t.Logf("%d revocations, from the call until refused on %d replicas under load: p50 %s, p99 %s, max %s", rounds, replicas, p50, p99, most)
	if p99 > 50*time.Millisecond {
		t.Errorf("p99 is %s, above 50ms", p99)
	}
}

func TestAfterWaitNobodyAllows(t *testing.T) {
	s := newStand(t)
	s.underLoad(t)
	s.consumer(t, "acme")
	for range 100 {
		id, key := s.key(t, "acme")
		for member := range s.members {
			s.wants(t, member, "/open", key, http.StatusOK)
		}
		answer := s.admin(t, 0, "DELETE /v1/keys/"+id+"?wait=10s", nil)
		if slow, _ := answer["slow"].([]any); len(slow) > 0 {
			t.Fatalf("slow: %v", slow)
		}
		for member := range s.members {
			s.wants(t, member, "/open", key, http.StatusUnauthorized)
		}
	}
}

func TestRotationRefusesNobody(t *testing.T) {
	s := newStand(t)
	s.consumer(t, "acme")
	id, old := s.key(t, "acme")
	var pair atomic.Pointer[[]string]
	pair.Store(&[]string{old})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var asked atomic.Int64
	for worker := range replicas * 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, key := range *pair.Load() {
					status, _, err := s.ask(worker%replicas, "/open", key)
					if err != nil || status != http.StatusOK {
						t.Errorf("replica %d answers %d during the overlap (%v)", worker%replicas, status, err)
						return
					}
					asked.Add(1)
				}
			}
		})
	}
	const overlap = 6 * time.Second // the load is over long before
	start := time.Now()
	made := s.admin(t, 0, "POST /v1/keys/"+id+"/rotate", map[string]any{"overlap": overlap.String()})
	fresh := made["key"].(string)
	for member := range s.members { // a replica that did not know the new key learns of it
		s.wants(t, member, "/open", fresh, http.StatusOK)
	}
	pair.Store(&[]string{old, fresh})
	enough := asked.Load() + 2000
	servers.Until(t, "both keys were let in often enough", func() error {
		if n := asked.Load(); n < enough && !t.Failed() {
			return fmt.Errorf("%d requests, not yet %d", n, enough)
		}
		return nil
	})
	close(stop)
	wg.Wait()
	// Both were counted as one: what is left went down by every request.
	balance := s.wants(t, 0, "/open", fresh, http.StatusOK)
	if left := fmt.Sprintf(";r=%d;", 1_000_000-asked.Load()-replicas-1); !strings.Contains(balance, left) {
		t.Errorf("the balance is %s, want %s in it: the counter did not go on", balance, left)
	}
	late := s.refusedEverywhere(t, old, start.Add(overlap))
	t.Logf("%d requests with either key were let in; the old one was refused everywhere %s after its end", asked.Load(), late)
	// Its end is a whole second, not before the overlap is over.
	if late < 0 || late > time.Second+50*time.Millisecond {
		t.Errorf("the old key ended %s after the overlap", late)
	}
}
