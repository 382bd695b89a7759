package storetest

import (
	"context"
	"math"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stile-gate/stile/policy"
)

// Meter is what counts.
type Meter interface {
	policy.Meter
	Peek(context.Context, []policy.Charge) ([]policy.Balance, error)
}

// RunMeters tests the meters that open makes. Each must be empty. The clocks are real, so
// these tests have limits that refill, and periods that end, in a year.
func RunMeters(t *testing.T, open func(testing.TB) Meter) {
	tests := []struct {
		name string
		test func(*testing.T, Meter)
	}{
		{"no charge", testNoCharge},
		{"burst", testBurst},
		{"refill", testRefill},
		{"quota", testQuota},
		{"cost", testCost},
		{"all or none", testAllOrNone},
		{"slots in their order", testSlotOrder},
		{"counters apart", testCountersApart},
		{"charges on one counter", testSameCounter},
		{"peek", testPeek},
		{"odd slots", testOddSlots},
		{"concurrent", testConcurrentSpending},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, open(t)) })
	}
}

// Slow is a rate that refills nothing during a test.
func Slow(name string, burst int64) *policy.Limit {
	return &policy.Limit{Name: name, Rate: policy.Rate{Count: 1, Period: 24 * time.Hour, Burst: burst}, Mode: policy.Exact}
}

// Yearly is a quota.
func Yearly(name string, count int64) *policy.Limit {
	return &policy.Limit{Name: name, Quota: policy.Quota{Count: count, Period: policy.Year, Anchor: 1}, Mode: policy.Exact}
}

// Charge is one request's on a counter of acme.
func Charge(l *policy.Limit) policy.Charge { return policy.Charge{Limit: l, Slot: "c:acme", Cost: 1} }

// Spend spends and tells whether all was allowed. It may run in any goroutine.
func Spend(t testing.TB, m policy.Meter, charges ...policy.Charge) ([]policy.Balance, bool) {
	t.Helper()
	balances, err := m.Spend(t.Context(), charges)
	if err != nil {
		t.Errorf("Spend: %v", err)
		return nil, false
	}
	for i := range balances {
		if !balances[i].Allowed {
			return balances, false
		}
	}
	return balances, len(balances) == len(charges)
}

func wantSpend(t *testing.T, m Meter, want bool, charges ...policy.Charge) []policy.Balance {
	t.Helper()
	balances, ok := Spend(t, m, charges...)
	if ok != want {
		t.Errorf("allowed is %v: %+v", ok, balances)
	}
	if len(balances) == 0 {
		t.Fatal("no balances")
	}
	return balances
}

func testNoCharge(t *testing.T, m Meter) {
	balances, err := m.Spend(t.Context(), nil)
	equal(t, "error", err, nil)
	equal(t, "balances", len(balances), 0)
}

func testBurst(t *testing.T, m Meter) {
	l := Slow("burst", 5)
	for left := int64(4); left >= 0; left-- {
		b := wantSpend(t, m, true, Charge(l))[0]
		equal(t, "remaining", b.Remaining, left)
		equal(t, "limit", b.Limit == l, true)
		equal(t, "retry after", b.RetryAfter, time.Duration(0))
		mustBeAbout(t, "reset", b.Reset, time.Duration(5-left)*24*time.Hour)
	}
	for range 3 {
		b := wantSpend(t, m, false, Charge(l))[0]
		equal(t, "remaining", b.Remaining, int64(0))
		mustBeAbout(t, "retry after", b.RetryAfter, 24*time.Hour)
		mustBeAbout(t, "reset", b.Reset, 5*24*time.Hour)
	}
}

func mustBeAbout(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got > want || got < want-time.Minute {
		t.Errorf("%s: %v is not about %v", what, got, want)
	}
}

func testRefill(t *testing.T, m Meter) {
	l := &policy.Limit{Name: "quick", Rate: policy.Rate{Count: 20, Period: time.Second, Burst: 3}, Mode: policy.Exact}
	for range 3 {
		wantSpend(t, m, true, Charge(l))
	}
	Eventually(t, "one is refilled", func() bool { _, ok := Spend(t, m, Charge(l)); return ok })
	Eventually(t, "all is refilled", func() bool {
		balances, err := m.Peek(t.Context(), []policy.Charge{Charge(l)})
		return err == nil && balances[0].Remaining == 2
	})
}

func testQuota(t *testing.T, m Meter) {
	l := Yearly("yearly", 3)
	for left := int64(2); left >= 0; left-- {
		b := wantSpend(t, m, true, Charge(l))[0]
		equal(t, "remaining", b.Remaining, left)
		equal(t, "retry after", b.RetryAfter, time.Duration(0))
	}
	b := wantSpend(t, m, false, Charge(l))[0]
	equal(t, "remaining", b.Remaining, int64(0))
	equal(t, "retry after", b.RetryAfter, b.Reset)
	if b.Reset <= 0 || b.Reset > 366*24*time.Hour {
		t.Errorf("a year ends in %v", b.Reset)
	}
}

func testCost(t *testing.T, m Meter) {
	for _, l := range []*policy.Limit{Slow("rate", 10), Yearly("quota", 10)} {
		c := Charge(l)
		for _, tt := range []struct {
			cost      int64
			ok        bool
			remaining int64
		}{
			{11, false, 10},
			{math.MaxInt64, false, 10},
			{math.MaxInt64 / 3, false, 10},
			{7, true, 3},
			{4, false, 3},
			{3, true, 0},
			{0, false, 0}, // at least 1
		} {
			c.Cost = tt.cost
			b := wantSpend(t, m, tt.ok, c)[0]
			equal(t, "remaining after "+strconv.FormatInt(tt.cost, 10), b.Remaining, tt.remaining)
			if !tt.ok && b.RetryAfter <= 0 {
				t.Errorf("a cost of %d may be tried again after %v", tt.cost, b.RetryAfter)
			}
		}
	}
}

func testAllOrNone(t *testing.T, m Meter) {
	many, few, yearly := Charge(Slow("many", 10)), Charge(Slow("few", 2)), Charge(Yearly("yearly", 10))
	for range 2 {
		wantSpend(t, m, true, many, few, yearly)
	}
	for range 5 {
		balances := wantSpend(t, m, false, many, few, yearly)
		for i, want := range []bool{true, false, true} {
			equal(t, "allowed", balances[i].Allowed, want)
			equal(t, "remaining", balances[i].Remaining, []int64{8, 0, 8}[i])
		}
	}
	equal(t, "remaining", wantSpend(t, m, true, yearly, many)[0].Remaining, int64(7))
}

func testSlotOrder(t *testing.T, m Meter) {
	one := func(slot string, burst int64) policy.Charge {
		return policy.Charge{Limit: Slow("l", burst), Slot: slot, Cost: 1}
	}
	first, second, third := one("ip:::1", 9), one("c:acme", 1), one("r:orders", 9)
	again := one("ip:::1", 9)
	again.Counter = "key:1"
	balances := wantSpend(t, m, true, first, second, third, again)
	for i, c := range []policy.Charge{first, second, third, again} {
		equal(t, "order", balances[i].Limit == c.Limit, true)
	}
	balances = wantSpend(t, m, false, first, second, third, again)
	equal(t, "asked", len(balances), 3)
	equal(t, "the last one asked", balances[2].Limit == again.Limit, true)
	equal(t, "refused", balances[1].Allowed, false)
	equal(t, "spent before the refusal", wantSpend(t, m, true, first)[0].Remaining, int64(6))
	equal(t, "not spent after it", wantSpend(t, m, true, third)[0].Remaining, int64(7))
}

func testCountersApart(t *testing.T, m Meter) {
	var all []policy.Charge
	for _, l := range []*policy.Limit{Slow("l", 1), Yearly("l", 1), Slow("m", 1)} {
		for _, slot := range []string{"c:acme", "c:acme:x", "c:", "i:acme", "ip:::1", "ip:::11", "r:{a}", "r:{a}b", "r:%7Ba%7D", "r:", ""} {
			for _, counter := range []string{"", "key:1", "claim:1", "key:11"} {
				all = append(all, policy.Charge{Limit: l, Slot: slot, Counter: counter, Cost: 1})
			}
		}
	}
	for _, want := range []bool{true, false} {
		for _, c := range all {
			wantSpend(t, m, want, c)
		}
	}
}

func testSameCounter(t *testing.T, m Meter) {
	c := Charge(Slow("l", 5))
	for left := int64(3); left > 0; left -= 2 {
		for _, b := range wantSpend(t, m, true, c, c) {
			equal(t, "remaining", b.Remaining, left)
		}
	}
	wantSpend(t, m, false, c, c)
	wantSpend(t, m, true, c)
}

func testPeek(t *testing.T, m Meter) {
	charges := []policy.Charge{Charge(Slow("l", 2)), Charge(Yearly("q", 5)), {Limit: Slow("r", 9), Slot: "r:x", Cost: 1}}
	for _, want := range []bool{true, true, false} {
		for range 3 {
			balances, err := m.Peek(t.Context(), charges)
			equal(t, "error", err, nil)
			equal(t, "peeked", balances[0].Allowed, want)
		}
		peeked, _ := m.Peek(t.Context(), charges)
		balances, ok := Spend(t, m, charges...)
		equal(t, "spent", ok, want)
		equal(t, "asked", len(peeked), len(balances))
		for i := range balances {
			equal(t, "remaining", peeked[i].Remaining, balances[i].Remaining)
			mustBeAbout(t, "reset", balances[i].Reset, peeked[i].Reset+time.Second)
		}
	}
}

func testOddSlots(t *testing.T, m Meter) {
	for _, slot := range []string{"", "r:{a}b", "r:}", "r:}{", "r:a b\n", "r:größe", "r:%", "ip:2001:db8::", "c:a_b.c@d-e"} {
		for _, want := range []bool{true, false} {
			wantSpend(t, m, want,
				policy.Charge{Limit: Slow("l", 1), Slot: slot, Cost: 1},
				policy.Charge{Limit: Yearly("q", 1), Slot: slot, Counter: "key:1", Cost: 1})
		}
	}
}

func testConcurrentSpending(t *testing.T, m Meter) {
	charges := []policy.Charge{Charge(Slow("l", 100)), Charge(Yearly("q", 150))}
	var allowed atomic.Int64
	together(16, func(int) {
		for range 20 {
			if _, ok := Spend(t, m, charges...); ok {
				allowed.Add(1)
			}
		}
	})
	equal(t, "allowed", allowed.Load(), int64(100))
	equal(t, "left of the quota", wantSpend(t, m, true, charges[1])[0].Remaining, int64(49))
}
