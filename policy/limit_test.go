package policy

import (
	"testing"
	"time"
)

// perMinute is a limit that is good, with one thing changed or another.
func perMinute(name string, changes ...func(*Limit)) *Limit {
	l := &Limit{
		Name: name, Per: Per{Kind: PerConsumer}, Rate: Rate{Count: 60, Period: time.Minute, Burst: 10},
		Mode: Exact, OnStoreError: OnErrorLocal,
	}
	for _, change := range changes {
		change(l)
	}
	return l
}

func per(kind PerKind) func(*Limit) { return func(l *Limit) { l.Per.Kind = kind } }

func perClaim(t reporter, text string) func(*Limit) {
	t.Helper()
	path, err := ParseClaimPath(text)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return func(l *Limit) { l.Per = Per{PerClaim, path} }
}

func quota(count int64, period Period, anchor int) func(*Limit) {
	return func(l *Limit) { l.Rate, l.Quota = Rate{}, Quota{count, period, anchor} }
}

func rate(count int64, period time.Duration, burst int64) func(*Limit) {
	return func(l *Limit) { l.Rate = Rate{count, period, burst} }
}

func TestWindow(t *testing.T) {
	for _, tc := range []struct {
		period         Period
		anchor         int
		at, start, end string
	}{
		{Minute, 1, "2026-03-01T12:34:56.789Z", "2026-03-01T12:34:00Z", "2026-03-01T12:35:00Z"},
		{Minute, 1, "2026-12-31T23:59:59.999Z", "2026-12-31T23:59:00Z", "2027-01-01T00:00:00Z"},
		{Minute, 1, "2026-03-01T12:34:00Z", "2026-03-01T12:34:00Z", "2026-03-01T12:35:00Z"},
		{Hour, 1, "2026-03-01T12:59:59Z", "2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z"},
		{Hour, 1, "2026-03-01T12:10:00+05:30", "2026-03-01T06:00:00Z", "2026-03-01T07:00:00Z"},
		{Day, 1, "2024-02-28T23:59:59Z", "2024-02-28T00:00:00Z", "2024-02-29T00:00:00Z"},
		{Day, 1, "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"},
		{Day, 1, "2026-03-01T01:00:00+02:00", "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"}, // in UTC, yesterday
		{Week, 1, "2026-03-01T23:59:59Z", "2026-02-23T00:00:00Z", "2026-03-02T00:00:00Z"},     // a Sunday ends one
		{Week, 1, "2026-03-02T00:00:00Z", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z"},     // a Monday begins one
		{Week, 1, "2027-01-01T12:00:00Z", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"},
		{Month, 1, "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"},
		{Month, 1, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{Month, 15, "2026-03-14T23:59:59Z", "2026-02-15T00:00:00Z", "2026-03-15T00:00:00Z"},
		{Month, 15, "2026-03-15T00:00:00Z", "2026-03-15T00:00:00Z", "2026-04-15T00:00:00Z"},
		{Month, 15, "2026-01-14T00:00:00Z", "2025-12-15T00:00:00Z", "2026-01-15T00:00:00Z"},
		{Month, 28, "2026-03-27T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-28T00:00:00Z"},
		{Month, 28, "2024-02-29T00:00:00Z", "2024-02-28T00:00:00Z", "2024-03-28T00:00:00Z"},
		{Year, 1, "2024-12-31T23:59:59Z", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"},
		{Year, 20, "2026-01-19T23:59:59Z", "2025-01-20T00:00:00Z", "2026-01-20T00:00:00Z"},
		{Year, 20, "2026-01-20T00:00:00Z", "2026-01-20T00:00:00Z", "2027-01-20T00:00:00Z"},
	} {
		at, err := time.Parse(time.RFC3339Nano, tc.at)
		if err != nil {
			t.Fatal(err)
		}
		start, end := Quota{Count: 1, Period: tc.period, Anchor: tc.anchor}.Window(at)
		if start.Format(time.RFC3339) != tc.start || end.Format(time.RFC3339) != tc.end {
			t.Errorf("%s %d at %s: %s to %s, want %s to %s", tc.period, tc.anchor, tc.at,
				start.Format(time.RFC3339), end.Format(time.RFC3339), tc.start, tc.end)
		}
		if at.Before(start) || !at.Before(end) || end.Sub(start) > tc.period.longest() {
			t.Errorf("%s %d at %s: %s to %s does not hold it, or is too long", tc.period, tc.anchor, tc.at, start, end)
		}
	}
}

// Each window begins where the one before it ends, over a leap day and the turn of years.
func TestWindowsFollowOneAnother(t *testing.T) {
	for _, period := range []Period{Minute, Hour, Day, Week, Month, Year} {
		for _, anchor := range []int{1, 2, 28} {
			q := Quota{Count: 1, Period: period, Anchor: anchor}
			_, end := q.Window(time.Date(2023, 12, 30, 11, 12, 13, 14, time.UTC))
			for range 100 {
				start, next := q.Window(end)
				if _, before := q.Window(end.Add(-1)); !start.Equal(end) || !before.Equal(end) || !next.After(start) {
					t.Fatalf("%s %d: one ends at %s, the next begins at %s", period, anchor, end, start)
				}
				end = next
			}
		}
	}
}

func TestIntervalIsRoundedUp(t *testing.T) {
	for _, tc := range []struct {
		rate Rate
		want time.Duration
	}{
		{Rate{Count: 60, Period: time.Minute}, time.Second},
		{Rate{Count: 1, Period: 24 * time.Hour}, 24 * time.Hour},
		{Rate{Count: 7, Period: time.Second}, 142_858 * time.Microsecond},
		{Rate{Count: 999_999, Period: time.Second}, 2 * time.Microsecond},
		{Rate{Count: 1_000_000, Period: time.Second}, time.Microsecond},
	} {
		got := tc.rate.Interval()
		if got != tc.want || got*time.Duration(tc.rate.Count) < tc.rate.Period {
			t.Errorf("%d in %s: %s, want %s", tc.rate.Count, tc.rate.Period, got, tc.want)
		}
	}
}

func TestCheckTakes(t *testing.T) {
	for why, l := range map[string]*Limit{
		"a rate":                    perMinute("burst"),
		"one a microsecond":         perMinute("a", rate(1_000_000, time.Second, 1)),
		"the largest burst":         perMinute("a", rate(1_000_000, time.Second, maxMicros)),
		"a quota":                   perMinute("Monthly-1", quota(100_000, Month, 28)),
		"the largest quota":         perMinute("a", quota(maxQuota, Day, 1)),
		"per ip":                    perMinute("a", per(PerIP)),
		"per claim":                 perMinute("a", perClaim(t, "tenant.id")),
		"the other mode":            perMinute("a", func(l *Limit) { l.Mode, l.OnStoreError = LocalSync, OnErrorDeny }),
		"a year of a yearly anchor": perMinute("a", quota(1, Year, 2)),
	} {
		if err := l.Check(); err != nil {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	for _, tc := range []struct {
		says  string
		limit *Limit
	}{
		{"name", perMinute("")},
		{"name", perMinute("a_b")},
		{"name", perMinute(`a"b`)},
		{"name", perMinute("a:b")},
		{"name", perMinute("bürst")},
		{"name", perMinute(string(make([]byte, 65)))},
		{"one of the two", perMinute("a", func(l *Limit) { l.Rate = Rate{} })},
		{"one of the two", perMinute("a", func(l *Limit) { l.Quota = Quota{1, Day, 1} })},
		{"per \"\"", perMinute("a", per(""))},
		{"per \"user\"", perMinute("a", per("user"))},
		{"claim", perMinute("a", per(PerClaim))},
		{"claim", perMinute("a", perClaim(t, "x"), per(PerKey))},
		{"mode", perMinute("a", func(l *Limit) { l.Mode = "" })},
		{"on_store_error", perMinute("a", func(l *Limit) { l.OnStoreError = "open" })},
		{"at least 1", perMinute("a", rate(0, time.Second, 1))},
		{"at least 1", perMinute("a", rate(-1, time.Second, 1))},
		{"period", perMinute("a", rate(1, time.Millisecond, 1))},
		{"period", perMinute("a", rate(1, 367*24*time.Hour, 1))},
		{"burst", perMinute("a", rate(1, time.Second, 0))},
		{"microsecond", perMinute("a", rate(1_000_001, time.Second, 1))},
		{"refill", perMinute("a", rate(1_000_000, time.Second, maxMicros+1))},
		{"refill", perMinute("a", rate(1, 24*time.Hour, 10_000))},
		{"none of minute", perMinute("a", quota(1, "fortnight", 1))},
		{"from 1", perMinute("a", quota(0, Month, 1))},
		{"from 1", perMinute("a", quota(maxQuota+1, Month, 1))},
		{"month or a year", perMinute("a", quota(1, Week, 2))},
		{"1 to 28", perMinute("a", quota(1, Month, 0))},
		{"1 to 28", perMinute("a", quota(1, Year, 29))},
	} {
		wantError(t, tc.limit.Check(), tc.says)
	}
}
