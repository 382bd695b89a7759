package proxy

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

// metering tells of a limit where the query says so.
type metering struct{ policy.Decider }

func (m metering) Decide(ctx context.Context, r *policy.Request) policy.Decision {
	d := m.Decider.Decide(ctx, r)
	if r.RawQuery == "limited" {
		burst := &policy.Limit{Name: "burst", Rate: policy.Rate{Count: 60, Period: time.Minute, Burst: 10}}
		d.Balances = []policy.Balance{{Limit: burst, Allowed: true, Remaining: 3, Reset: 7 * time.Second}}
	}
	return d
}

// Ours replace the upstream's, in a good answer and in the one that nobody gave.
func TestTheClientHearsOneSetOfLimits(t *testing.T) {
	upstream := answering(t, "HTTP/1.1 200 OK\r\nRateLimit: \"app\";r=1;t=1\r\nRateLimit: \"more\";r=1;t=1\r\nratelimit-policy: \"app\";q=1\r\nContent-Length: 0\r\n\r\n")
	g := run(t, leadingTo(upstream), func(g *Gateway) { g.Decider = metering{g.Decider} })
	const ours, policies = `"burst";r=3;t=7`, `"burst";q=10;w=10`
	check := func(resp *servers.Response, status int, balances, policies []string) {
		t.Helper()
		if resp.Status != status {
			t.Errorf("status %d, want %d", resp.Status, status)
		}
		wantField(t, "RateLimit", resp.Header.Values("RateLimit"), balances...)
		wantField(t, "RateLimit-Policy", resp.Header.Values("RateLimit-Policy"), policies...)
	}
	check(g.get(t, "/other/x?limited"), http.StatusOK, []string{ours}, []string{policies})
	check(g.get(t, "/other/x"), http.StatusOK, []string{`"app";r=1;t=1`, `"more";r=1;t=1`}, []string{`"app";q=1`})
	check(g.get(t, "/down/x?limited"), http.StatusBadGateway, []string{ours}, []string{policies})
}
