package policy

import (
	"regexp"
	"testing"
	"time"
)

func TestLimitFields(t *testing.T) {
	fast, monthly := perMinute("fast"), perMinute("monthly", quota(100_000, Month, 1))
	d := Decision{Balances: []Balance{
		{Limit: fast, Allowed: true, Remaining: 9, Reset: time.Second},
		{Limit: monthly, Allowed: true, Remaining: 99_999, Reset: 26*time.Hour + time.Nanosecond},
	}}
	fields := d.LimitFields()
	want := []Field{
		{"Ratelimit-Policy", `"fast";q=10;w=10, "monthly";q=100000;w=2678400`},
		{"Ratelimit", `"fast";r=9;t=1, "monthly";r=99999;t=93601`},
	}
	if len(fields) != 2 || fields[0] != want[0] || fields[1] != want[1] {
		t.Errorf("%q, want %q", fields, want)
	}
	if fields := new(Decision).LimitFields(); fields != nil {
		t.Errorf("without limits: %q", fields)
	}
}

// Every limit that is taken can be told: quantities are Integers of at most 15 digits and
// not negative, for the draft wants them so.
func TestLimitFieldsAreStructured(t *testing.T) {
	form := regexp.MustCompile(`^"[A-Za-z0-9-]{1,64}";[qr]=[0-9]{1,15};[wt]=[0-9]{1,15}$`)
	for _, l := range []*Limit{
		perMinute("a", rate(1_000_000, time.Second, maxMicros)), perMinute("a", rate(1, 366*24*time.Hour, 1)),
		perMinute("a", quota(maxQuota, Year, 1)), perMinute("a", quota(1, Minute, 1)), perMinute("a", quota(1, Hour, 1)),
		perMinute("a", quota(1, Day, 1)), perMinute("a", quota(1, Week, 1)),
	} {
		if err := l.Check(); err != nil {
			t.Fatal(err)
		}
		most, window := l.advertised()
		for _, remaining := range []int64{most, 0, -1} {
			d := Decision{Balances: []Balance{{Limit: l, Remaining: remaining, Reset: time.Duration(window) * time.Second}}}
			for _, f := range d.LimitFields() {
				if !form.MatchString(f.Value) {
					t.Errorf("%s: %s", f.Name, f.Value)
				}
			}
		}
	}
}

func TestSecondsAreRoundedUp(t *testing.T) {
	for d, want := range map[time.Duration]int64{0: 0, 1: 1, time.Second: 1, time.Second + 1: 2, 1500 * time.Millisecond: 2} {
		if got := seconds(d); got != want {
			t.Errorf("%s: %d, want %d", d, got, want)
		}
	}
}
