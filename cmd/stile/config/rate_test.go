package config

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stile-gate/stile/policy"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]policy.Rate{
		"5/s": {Count: 5, Period: time.Second, Burst: 5}, "5/sec": {Count: 5, Period: time.Second, Burst: 5},
		"5/second": {Count: 5, Period: time.Second, Burst: 5}, "60/min": {Count: 60, Period: time.Minute, Burst: 60},
		"60/minute": {Count: 60, Period: time.Minute, Burst: 60}, "1/h": {Count: 1, Period: time.Hour, Burst: 1},
		"1/hour": {Count: 1, Period: time.Hour, Burst: 1}, "1000000/day": {Count: 1_000_000, Period: 24 * time.Hour, Burst: 1_000_000},
		"1000000/s": {Count: 1_000_000, Period: time.Second, Burst: 1_000_000},
	} {
		if got, err := parseRate(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "/", "5", "5/", "/s", "5/S", "5/m", "5/hr", "5/d", "5/week", "5/month", "0/s", "-1/s", "+1/s", "05/s", " 5/s", "5 /s", "5/ s", "5/s ", "5/s/s",
		"5.0/s", "5e3/s", "5_000/s", "0x5/s", "٥/s", "9223372036854775808/s", "1000001/s",
	} {
		if got, err := parseRate(text); err == nil || got.Count > 1_000_000 {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

// FuzzAmounts: what is taken for a rate or a quota says the same as its text, and can be
// counted.
func FuzzAmounts(f *testing.F) {
	for _, text := range []string{"60/min", "5/s", "1/hour", "1000000/day", "100000/month", "1/year", "007/s", "9223372036854775808/s", "5/s/s", "-1/min"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		count, unit, _ := strings.Cut(text, "/")
		if r, err := parseRate(text); err == nil {
			if strconv.FormatInt(r.Count, 10) != count || r.Period != units[unit] || r.Burst != r.Count || r.Check() != nil {
				t.Errorf("%q is the rate %+v", text, r)
			}
			if r.Interval()*time.Duration(r.Count) < r.Period {
				t.Errorf("%q refills too fast, one in %s", text, r.Interval())
			}
		}
		if q, err := parseQuota(text); err == nil && (strconv.FormatInt(q.Count, 10) != count || string(q.Period) != unit || q.Anchor != 1) {
			t.Errorf("%q is the quota %+v", text, q)
		}
	})
}
