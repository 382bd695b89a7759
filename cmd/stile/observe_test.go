package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
)

// An issuer can write a key into a claim that names somebody, and older stores hold
// consumers that are named by one.
func TestALoggedNameShowsNoKey(t *testing.T) {
	id, key := policy.KeyFormat{}.New()
	r := policy.NewRequest(policy.Wire{
		Edge: "traefik", Method: "GET", Scheme: "https", Host: "api.example.com", Target: "/v1/orders/" + key.Reveal(),
		Header: http.Header{policy.HeaderRequestID: {key.Reveal()}}, ClientIP: netip.MustParseAddr("203.0.113.7"),
	})
	var out bytes.Buffer
	o := &observer{metrics: newMetrics(), log: newDecisionLog(&out, slog.LevelInfo), next: allowed{policy.Decision{
		Reason: policy.OK, Route: &policy.Route{Name: "orders"}, RequestID: r.ID,
		Identity: &policy.Identity{Credential: key.Reveal()}, Consumer: &policy.Consumer{ID: key.Reveal()},
	}}}
	o.Decide(t.Context(), r)
	line := out.String()
	if strings.Contains(line, key.Reveal()) || strings.Contains(line, key.Reveal()[20:]) {
		t.Errorf("the log holds a key: %s", line)
	}
	for _, field := range []string{"consumer", "credential"} {
		if want := `"` + field + `":"stile_` + id + `…"`; !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
}
