package policy

import (
	"net/netip"
	"slices"
	"time"
)

// Ref names what was proved: an API key by its id, a token by issuer and subject.
type Ref struct{ Kind, ID string }

// Identity is what a credential proved. It is shared between requests: read only.
type Identity struct {
	Ref
	Credential string    // for the upstream and the log: a key's id, a token's subject
	Groups     []string  // as the credential says
	Scopes     []string  // as the credential says
	Expires    time.Time // zero when it does not expire
	Claims     map[string]any
	ConsumerID string    // whom it belongs to; "" when it names nobody in our books
	Consumer   *Consumer // where the same look-up found it

	Disabled  bool           // by whoever issued it, for now
	NotBefore time.Time      // zero when it is good at once
	Routes    []string       // the only routes that it is for; none for all
	Networks  []netip.Prefix // the only addresses that it is for; none for all
	Limits    []string       // limits of its own, beside the route's
	Lineage   string         // the first credential that this one replaces, whose counters it goes on with
	Rotating  bool           // another has taken its place, and it ends soon
}

// CountedAs is the id under which limits count it.
func (i *Identity) CountedAs() string {
	if i.Lineage != "" {
		return i.Lineage
	}
	return i.ID
}

// Consumer is somebody in our books. Read only once it is handed out.
type Consumer struct {
	ID       string   `json:"id"`
	Username string   `json:"username,omitempty"`
	CustomID string   `json:"custom_id,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	Disabled bool     `json:"disabled,omitempty"`
}

// current tells whether it is good at this time.
func (i *Identity) current(now time.Time) error {
	switch {
	case i.Disabled:
		return Refuse(BadCredential, "the credential is disabled")
	case now.Before(i.NotBefore):
		return Refuse(BadCredential, "good only from %s", i.NotBefore.UTC().Format(time.RFC3339))
	case !i.Expires.IsZero() && !now.Before(i.Expires):
		return Refuse(Expired, "expired at %s", i.Expires.UTC().Format(time.RFC3339))
	}
	return nil
}

// confines holds the credential's own bounds against a request.
func (i *Identity) confines(r *Request, route *Route) error {
	if len(i.Routes) > 0 && !slices.Contains(i.Routes, route.Name) {
		return Refuse(Forbidden, "the credential is not for route %q", route.Name)
	}
	if len(i.Networks) > 0 && !slices.ContainsFunc(i.Networks, func(p netip.Prefix) bool { return p.Contains(r.ClientIP.Unmap()) }) {
		return Refuse(Forbidden, "the credential is not for %s", r.ClientIP)
	}
	return nil
}
