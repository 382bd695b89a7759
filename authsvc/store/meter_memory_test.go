package store_test

import (
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

func TestMemoryMeter(t *testing.T) {
	storetest.RunMeters(t, func(testing.TB) storetest.Meter { return store.NewMemory() })
}

// newTimedMemory is a Memory whose clock stands at a time until it is set.
func newTimedMemory(t testing.TB, at string) (m *store.Memory, set func(string)) {
	t.Helper()
	m = store.NewMemory()
	var now time.Time
	m.Now = func() time.Time { return now }
	set = func(at string) {
		t.Helper()
		var err error
		if now, err = time.Parse("2006-01-02 15:04:05", at); err != nil {
			t.Fatal(err)
		}
	}
	set(at)
	return m, set
}

func wantRemaining(t *testing.T, m policy.Meter, l *policy.Limit, want int64) {
	t.Helper()
	balances, ok := storetest.Spend(t, m, storetest.Charge(l))
	if ok != (want >= 0) || len(balances) != 1 || balances[0].Remaining != max(0, want) {
		t.Errorf("want %d to remain, got %+v", want, balances)
	}
}

func TestMeterPeriods(t *testing.T) {
	for _, tt := range []struct {
		period           policy.Period
		anchor           int
		first, last, new string
	}{
		{policy.Minute, 1, "2026-11-23 03:33:00", "2026-11-23 03:33:59", "2026-11-23 03:34:00"},
		{policy.Hour, 1, "2026-11-23 03:00:00", "2026-11-23 03:59:59", "2026-11-23 04:00:00"},
		{policy.Day, 1, "2028-02-29 00:00:00", "2028-02-29 23:59:59", "2028-03-01 00:00:00"},
		{policy.Week, 1, "2026-12-28 00:00:00", "2027-01-03 23:59:59", "2027-01-04 00:00:00"},
		{policy.Month, 1, "2028-02-01 00:00:00", "2028-02-29 23:59:59", "2028-03-01 00:00:00"},
		{policy.Month, 28, "2027-02-28 00:00:00", "2027-03-27 23:59:59", "2027-03-28 00:00:00"},
		{policy.Month, 15, "2026-12-15 00:00:00", "2027-01-14 23:59:59", "2027-01-15 00:00:00"},
		{policy.Year, 1, "2028-01-01 00:00:00", "2028-12-31 23:59:59", "2029-01-01 00:00:00"},
		{policy.Year, 20, "2027-01-20 00:00:00", "2028-01-19 23:59:59", "2028-01-20 00:00:00"},
	} {
		m, set := newTimedMemory(t, tt.first)
		l := &policy.Limit{Name: "q", Quota: policy.Quota{Count: 2, Period: tt.period, Anchor: tt.anchor}}
		wantRemaining(t, m, l, 1)
		set(tt.last)
		wantRemaining(t, m, l, 0)
		balances, ok := storetest.Spend(t, m, storetest.Charge(l))
		if ok || balances[0].Reset != time.Second || balances[0].RetryAfter != time.Second {
			t.Errorf("%s %d: a second before the end: %+v", tt.period, tt.anchor, balances)
		}
		set(tt.new)
		wantRemaining(t, m, l, 1)
	}
}

func TestMeterRefills(t *testing.T) {
	m, set := newTimedMemory(t, "2026-11-23 03:00:00")
	l := &policy.Limit{Name: "l", Rate: policy.Rate{Count: 6, Period: time.Minute, Burst: 3}}
	for _, left := range []int64{2, 1, 0, -1} {
		wantRemaining(t, m, l, left)
	}
	set("2026-11-23 03:00:09")
	balances, ok := storetest.Spend(t, m, storetest.Charge(l))
	if ok || balances[0].RetryAfter != time.Second || balances[0].Reset != 21*time.Second {
		t.Errorf("a second too early: %+v", balances)
	}
	set("2026-11-23 03:00:10")
	wantRemaining(t, m, l, 0)
	set("2026-11-23 03:00:39")
	wantRemaining(t, m, l, 1)
	set("2027-11-23 03:00:00")
	wantRemaining(t, m, l, 2)
}

// A clock that is set back gives nothing away, and locks nobody out for longer than an
// empty bucket does.
func TestMeterClockSetBack(t *testing.T) {
	m, set := newTimedMemory(t, "2026-11-23 03:00:00")
	l := &policy.Limit{Name: "l", Rate: policy.Rate{Count: 6, Period: time.Minute, Burst: 3}}
	wantRemaining(t, m, l, 2)
	set("2020-01-01 00:00:00")
	wantRemaining(t, m, l, -1)
	set("2020-01-01 00:00:10")
	wantRemaining(t, m, l, 0)
	wantRemaining(t, m, l, -1)
}
