package authsvc

import (
	"net/http"
	"testing"
	"time"

	"github.com/stile-gate/stile/policy"
)

// metered gives a decision two balances, of which the second may refuse.
func metered(d policy.Decision) policy.Decision {
	fast := &policy.Limit{Name: "fast", Rate: policy.Rate{Count: 60, Period: time.Minute, Burst: 10}}
	daily := &policy.Limit{Name: "daily", Quota: policy.Quota{Count: 100, Period: policy.Day, Anchor: 1}}
	d.Balances = []policy.Balance{
		{Limit: fast, Allowed: true, Remaining: 9, Reset: time.Second},
		{Limit: daily, Allowed: d.Allowed(), Remaining: 0, Reset: time.Hour, RetryAfter: 90 * time.Second},
	}
	return d
}

const (
	balances = `"fast";r=9;t=1, "daily";r=0;t=3600`
	policies = `"fast";q=10;w=10, "daily";q=100;w=86400`
)

// Who is let in hears of limits where the edge can tell, and Traefik and Caddy cannot: what
// they take from a yes goes to the upstream alone.
func TestLimitsOfWhoIsLetIn(t *testing.T) {
	addr := listening(t, always(metered(granted())), loopback)
	for _, g := range tongues() {
		want := [2]string{}
		if g.edge == "nginx" || g.edge == "nginx-accel" {
			want = [2]string{balances, policies}
		}
		h := g.ask(t, addr, g.fields("/open/x")).Header
		if got := [2]string{h.Get("RateLimit"), h.Get("RateLimit-Policy")}; got != want {
			t.Errorf("%s: %q, want %q", g, got, want)
		}
	}
}

func TestLimitsOfWhoIsRefused(t *testing.T) {
	for _, reason := range []policy.Reason{policy.RateLimited, policy.QuotaExceeded} {
		d := granted()
		d.Reason = reason
		addr := listening(t, always(metered(d)), loopback)
		for _, g := range tongues() {
			resp := g.ask(t, addr, g.fields("/open/x"))
			status, truth := http.StatusTooManyRequests, ""
			if g.edge == "nginx" {
				status, truth = http.StatusForbidden, "429"
			}
			if resp.Status != status || resp.Header.Get("X-Stile-Status") != truth {
				t.Errorf("%s: %d, X-Stile-Status %q", g, resp.Status, resp.Header.Get("X-Stile-Status"))
			}
			for name, want := range map[string]string{"RateLimit": balances, "RateLimit-Policy": policies, "Retry-After": "90"} {
				if got := resp.Header.Values(name); len(got) != 1 || got[0] != want {
					t.Errorf("%s: %s is %q, want %q", g, name, got, want)
				}
			}
		}
	}
}
