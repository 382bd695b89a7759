package policy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
)

// spend charges the limits of the route and of the credential. It comes last of the steps
// that can refuse, so that only who is let in pays.
func (e *Engine) spend(ctx context.Context, r *Request, d *Decision) (err error) {
	charges, err := e.charges(r, d)
	if err != nil || len(charges) == 0 {
		return err
	}
	if d.Balances, err = e.meter.Spend(ctx, charges); err != nil {
		return err
	}
	var refused *Balance
	for i := range d.Balances {
		if b := &d.Balances[i]; !b.Allowed && (refused == nil || b.RetryAfter > refused.RetryAfter) {
			refused = b
		}
	}
	switch {
	case refused == nil && len(d.Balances) != len(charges):
		return errors.New("the meter did not answer for every charge")
	case refused == nil:
		return nil
	case refused.Limit.Quota.Count > 0:
		return Refuse(QuotaExceeded, "quota %q is used up", refused.Limit.Name)
	}
	return Refuse(RateLimited, "limit %q is reached", refused.Limit.Name)
}

// charges are those of slots of their own first: they cost a round trip each, and a flood
// that they refuse should cost no more.
func (e *Engine) charges(r *Request, d *Decision) ([]Charge, error) {
	limits := d.Route.Limits
	if d.Identity != nil && len(d.Identity.Limits) > 0 {
		limits = slices.Clone(limits)
		for _, name := range d.Identity.Limits {
			l := e.limits[name]
			if l == nil {
				return nil, errors.New("the credential has limit " + name + ", which is not configured")
			}
			limits = append(limits, l)
		}
	}
	if len(limits) == 0 {
		return nil, nil
	}
	charges := make([]Charge, 0, len(limits))
	for _, own := range [...]bool{true, false} {
		for _, l := range limits {
			if l.knowsCaller() != own {
				slot, counter := counterOf(l.Per, r, d)
				charges = append(charges, Charge{Limit: l, Slot: slot, Counter: counter, Cost: max(1, d.Route.Cost)})
			}
		}
	}
	return charges, nil
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
