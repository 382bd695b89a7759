package policy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// spend charges the limits of the route and of the credential. It comes last of the steps
// that can refuse, so that only who is let in pays.
func (e *Engine) spend(ctx context.Context, r *Request, d *Decision) error {
	limits, err := e.limitsOf(d)
	if err != nil || len(limits) == 0 {
		return err
	}
	charges := chargesOf(limits, r, d)
	balances, err := e.meter.Spend(ctx, charges)
	if err != nil {
		return err
	}
	refused := longestWait(balances)
	if refused == nil && len(balances) != len(charges) {
		return errors.New("the meter did not answer for every charge")
	}
	d.Balances = balances
	switch {
	case refused == nil:
		return nil
	case refused.Limit.Quota.Count > 0:
		return Refuse(QuotaExceeded, "quota %q is used up", refused.Limit.Name)
	}
	return Refuse(RateLimited, "limit %q is reached", refused.Limit.Name)
}

// limitsOf are the route's and those that the credential has of its own, each once.
func (e *Engine) limitsOf(d *Decision) ([]*Limit, error) {
	limits := d.Route.Limits
	if d.Identity == nil || len(d.Identity.Limits) == 0 {
		return limits, nil
	}
	limits = slices.Clone(limits)
	for _, name := range d.Identity.Limits {
		l := e.limits[name]
		switch {
		case l == nil:
			return nil, fmt.Errorf("the credential has limit %q, which is not configured", clip(name))
		case slices.ContainsFunc(limits, func(other *Limit) bool { return other.Name == name }):
			continue
		case d.Route.Cost > l.most(): // to wait would be of no use
			return nil, Refuse(Forbidden, "the credential's limit %q never allows what route %q costs", l.Name, d.Route.Name)
		}
		limits = append(limits, l)
	}
	return limits, nil
}

// longestWait is the balance that refuses for the longest, or nil.
func longestWait(balances []Balance) *Balance {
	var longest *Balance
	for i := range balances {
		if b := &balances[i]; !b.Allowed && (longest == nil || b.RetryAfter > longest.RetryAfter) {
			longest = b
		}
	}
	return longest
}

// chargesOf puts the limits whose slot is not the caller's first: each costs a round trip
// of its own, and a flood that they refuse should cost no more.
func chargesOf(limits []*Limit, r *Request, d *Decision) []Charge {
	charges := make([]Charge, 0, len(limits))
	for _, ofCaller := range [...]bool{false, true} {
		for _, l := range limits {
			if l.knowsCaller() == ofCaller {
				slot, counter := counterOf(l.Per, r, d)
				charges = append(charges, Charge{Limit: l, Slot: slot, Counter: counter, Cost: max(1, d.Route.Cost)})
			}
		}
	}
	return charges
}

// counterOf names the counter of a limit that a request is counted by.
func counterOf(per Per, r *Request, d *Decision) (slot, counter string) {
	switch per.Kind {
	case PerIP:
		return "ip:" + network(r.ClientIP).String(), ""
	case PerRoute:
		return "r:" + d.Route.Name, ""
	case PerKey:
		return holderOf(d), "key:" + digest(d.Identity.Kind, d.Identity.CountedAs())
	case PerClaim:
		return holderOf(d), "claim:" + digest(per.Claim.String(), claimText(d.Identity.Claims, per.Claim))
	}
	return holderOf(d), ""
}

// holderOf is the consumer, or who the credential is of where that is nobody in our books.
func holderOf(d *Decision) string {
	if d.Consumer != nil {
		return "c:" + d.Consumer.ID
	}
	return "i:" + digest(d.Identity.Kind, d.Identity.ID)
}

// digest makes one short word of texts that strangers wrote: no separator in them can make
// two of them one.
func digest(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		sum := sha256.Sum256([]byte(text))
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// claimText is the value of a claim as text. All who lack it are counted together.
func claimText(claims map[string]any, path ClaimPath) string {
	value, found, err := path.Find(claims)
	if err != nil || !found {
		return ""
	}
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(text)
}

// network is what one client can choose its address from at will: all of an IPv6 /64.
func network(ip netip.Addr) netip.Addr {
	if ip.Is4() || ip.Is4In6() {
		return ip.Unmap()
	}
	prefix, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return ip
	}
	return prefix.Addr()
}
