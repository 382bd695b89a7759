package policy_test

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stile-gate/stile/policy"
)

// handClock stands until it is moved.
type handClock struct{ ahead atomic.Int64 }

func (c *handClock) now() time.Time       { return time.Unix(1_800_000_000+c.ahead.Load(), 0) }
func (c *handClock) move(d time.Duration) { c.ahead.Add(int64(d / time.Second)) }

// addressNumber is an IPv4 address for each number.
func addressNumber(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}

func wantWait(t *testing.T, a *policy.Attempts, ip netip.Addr, want time.Duration) {
	t.Helper()
	if got := a.Wait(ip); got != want {
		t.Errorf("%s waits %v, not %v", ip, got, want)
	}
}

func TestAttempts(t *testing.T) {
	c := &handClock{}
	a := policy.NewAttempts(policy.Rate{Count: 6, Period: time.Minute, Burst: 3}, c.now)
	guesser, other := addressNumber(1), addressNumber(2)
	for range 3 {
		wantWait(t, a, guesser, 0)
		a.Failed(guesser)
	}
	wantWait(t, a, guesser, 10*time.Second)
	wantWait(t, a, other, 0)
	for range 50 { // that were under way
		a.Failed(guesser)
	}
	wantWait(t, a, guesser, 10*time.Second)
	c.move(4 * time.Second)
	wantWait(t, a, guesser, 6*time.Second)
	c.move(6 * time.Second)
	wantWait(t, a, guesser, 0)
	a.Failed(guesser)
	wantWait(t, a, guesser, 10*time.Second)
	c.move(-time.Hour) // a clock that is set back locks nobody out for that long
	wantWait(t, a, guesser, 10*time.Second)
	c.move(4 * time.Second)
	wantWait(t, a, guesser, 6*time.Second)
	c.move(2 * time.Hour)
	for range 3 { // full, and no fuller
		wantWait(t, a, guesser, 0)
		a.Failed(guesser)
	}
	wantWait(t, a, guesser, 10*time.Second)
}

// Whoever has many addresses makes nobody forget what a single one did often.
func TestAttemptsAreBounded(t *testing.T) {
	c := &handClock{}
	a := policy.NewAttempts(policy.Rate{Count: 1, Period: time.Minute, Burst: 10}, c.now)
	guesser := addressNumber(0)
	for range 10 {
		a.Failed(guesser)
	}
	for n := range uint32(200_000) {
		a.Failed(addressNumber(n + 1))
	}
	if n := a.Size(); n > 1<<16 {
		t.Errorf("%d addresses are remembered", n)
	}
	wantWait(t, a, guesser, time.Minute)
}

func TestAttemptsConcurrently(t *testing.T) {
	a := policy.NewAttempts(policy.Rate{Count: 1, Period: time.Hour, Burst: 100}, (&handClock{}).now)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := range uint32(100) {
				a.Failed(addressNumber(n))
				a.Wait(addressNumber(n + 50))
			}
		})
	}
	wg.Wait()
	for n := range uint32(100) {
		wantWait(t, a, addressNumber(n), 0)
		for range 92 {
			a.Failed(addressNumber(n))
		}
		wantWait(t, a, addressNumber(n), time.Hour)
	}
}

func BenchmarkAttemptsOfUnknown(b *testing.B) {
	a := policy.NewAttempts(policy.Rate{Count: 1, Period: time.Minute, Burst: 10}, time.Now)
	ip := addressNumber(7)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			a.Wait(ip)
		}
	})
}
