package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"testing"

	"github.com/stile-gate/stile/policy"
)

// allowed is a Decider that has nothing to do.
type allowed struct{ d policy.Decision }

func (a allowed) Decide(context.Context, *policy.Request) policy.Decision { return a.d }

// What counting and logging a decision costs beside making it.
func BenchmarkObserve(b *testing.B) {
	r := policy.NewRequest(policy.Wire{
		Edge: "traefik", Method: "GET", Scheme: "https", Host: "api.example.com", Target: "/v1/orders/42?limit=2",
		Header: http.Header{}, ClientIP: netip.MustParseAddr("203.0.113.7"),
	})
	d := policy.Decision{
		Reason: policy.OK, Route: &policy.Route{Name: "orders"}, By: &policy.NamedAuthenticator{Name: "partner"},
		Identity: &policy.Identity{Credential: "0123456789"}, Consumer: &policy.Consumer{ID: "acme"}, RequestID: r.ID,
	}
	for _, logged := range []bool{false, true} {
		name := map[bool]string{false: "log=off", true: "log=on"}[logged]
		b.Run(name, func(b *testing.B) {
			buffer := newLogBuffer(io.Discard)
			defer func() { _ = buffer.Close() }()
			o := &observer{next: allowed{d}, metrics: newMetrics()}
			if logged {
				o.log = newDecisionLog(buffer, slog.LevelInfo)
			}
			b.ReportAllocs()
			for b.Loop() {
				o.Decide(context.Background(), r)
			}
		})
	}
}
