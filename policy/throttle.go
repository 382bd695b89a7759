package policy

import (
	"context"
	"net/netip"
	"time"
)

// Throttle counts attempts with bad credentials for each client address, an IPv6 /64 as
// one, in this process alone. It knows no consumers, so it can bill none.
type Throttle interface {
	// Wait is how long an address must wait before its next attempt, 0 for not at all.
	Wait(netip.Addr) time.Duration
	// Failed tells of an attempt that failed.
	Failed(netip.Addr)
}

// throttle turns away who has guessed too often. It comes before authentication, so that
// guessing costs no look-up.
func (e *Engine) throttle(_ context.Context, r *Request, d *Decision) error {
	if e.attempts == nil || d.Route.Public != "" {
		return nil
	}
	if d.Wait = e.attempts.Wait(network(r.ClientIP)); d.Wait > 0 {
		return Refuse(RateLimited, "too many attempts with bad credentials from %s", r.ClientIP)
	}
	return nil
}
