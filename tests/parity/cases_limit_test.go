package parity

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/stile-gate/stile/policy"
)

// meter says of each limit what its name does, so that every skin meets the same.
type meter struct{}

func (meter) Spend(_ context.Context, charges []policy.Charge) ([]policy.Balance, error) {
	balances := make([]policy.Balance, len(charges))
	for i, c := range charges {
		if c.Limit.Name == "unknown" {
			return nil, errors.New("the store is out of reach")
		}
		balances[i] = policy.Balance{Limit: c.Limit, Allowed: c.Limit.Name == "plenty", Remaining: 1, Reset: time.Second, RetryAfter: time.Minute}
	}
	return balances, nil
}

func limit(name string, of policy.Limit) *policy.Limit {
	of.Name, of.Mode, of.OnStoreError = name, policy.Exact, policy.OnErrorDeny
	return &of
}

// limitedRoutes have a limit each.
func limitedRoutes(partner policy.NamedAuthenticator) []policy.Route {
	perConsumer := policy.Limit{Per: policy.Per{Kind: policy.PerConsumer}, Rate: policy.Rate{Count: 1, Period: time.Second, Burst: 1}}
	daily := policy.Limit{Per: perConsumer.Per, Quota: policy.Quota{Count: 1, Period: policy.Day, Anchor: 1}}
	perIP := perConsumer
	perIP.Per.Kind = policy.PerIP
	keys := []policy.NamedAuthenticator{partner}
	return []policy.Route{
		{Name: "plenty", Match: "/plenty/", Authenticate: keys, Limits: []*policy.Limit{limit("plenty", perConsumer)}},
		{Name: "fast", Match: "/fast/", Authenticate: keys, Limits: []*policy.Limit{limit("plenty", daily), limit("fast", perConsumer)}},
		{Name: "daily", Match: "/daily/", Authenticate: keys, Limits: []*policy.Limit{limit("plenty", perIP), limit("daily", daily)}},
		{Name: "unknown", Match: "/unknown/", Authenticate: keys, Limits: []*policy.Limit{limit("unknown", daily)}},
		{Name: "crowded", Match: "/crowded/", Public: "for a test", Limits: []*policy.Limit{limit("crowd", perIP)}},
		{Name: "dear", Match: "/dear/", Authenticate: keys, Limits: []*policy.Limit{limit("dear", daily)}, Require: policy.Require{Groups: []string{"admins"}}},
	}
}

// throttle has had enough of one address.
type throttle struct{}

func (throttle) Failed(netip.Addr) {}

func (throttle) Wait(ip netip.Addr) time.Duration {
	if ip == netip.MustParseAddr("198.51.100.9") {
		return time.Minute
	}
	return 0
}

func limitCases() []call {
	key := []string{"X-API-Key: {good}"}
	return []call{
		{target: "/plenty/x", fields: key, as: acme},
		{target: "/fast/x", fields: key, want: policy.RateLimited},
		{target: "/daily/x", fields: key, want: policy.QuotaExceeded},
		{target: "/unknown/x", fields: key, down: true},
		{target: "/crowded/x", want: policy.RateLimited},
		{target: "/crowded/x", fields: key, want: policy.RateLimited},
		{target: "/fast/x", want: policy.NoCredential},
		{target: "/daily/x", fields: []string{"X-API-Key: {unknown}"}, want: policy.BadCredential},
		{target: "/dear/x", fields: key, want: policy.Forbidden},
		{ip: "198.51.100.9", target: "/v1/x", fields: key, want: policy.RateLimited},
		{ip: "198.51.100.9", target: "/v1/x", want: policy.RateLimited},
		{ip: "198.51.100.9", target: "/v1/x/../y", want: policy.BadRequest},
		{ip: "198.51.100.9", target: "/open/x"},
		{ip: "198.51.100.10", target: "/v1/x", fields: key, as: acme},
		{target: "/v1/x", fields: append([]string{"RateLimit: \"plenty\";r=9;t=1", "Retry-After: 0"}, key...), as: acme},
	}
}
