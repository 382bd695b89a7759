package store

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/stile-gate/stile/policy"
)

// Key is an API key as it is kept: its hash, and never the key itself.
type Key struct {
	ID       string   `json:"id"`
	Consumer string   `json:"consumer"` // the id of whom it belongs to
	Hash     string   `json:"-"`        // as policy.CheckKeyHash has it; no API shows it
	Name     string   `json:"name,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	Groups   []string `json:"groups,omitempty"` // beside those of its consumer

	// What bounds it. Whoever uses the key checks them.
	Routes    []string       `json:"routes,omitempty"`   // names of the only routes that it is for; none for all
	Networks  []netip.Prefix `json:"networks,omitempty"` // the only addresses that it is for; none for all
	Limits    []string       `json:"limits,omitempty"`   // names of limits of its own, beside the route's
	NotBefore time.Time      `json:"not_before,omitzero"`
	ExpiresAt time.Time      `json:"expires_at,omitzero"` // zero for never
	Disabled  bool           `json:"disabled,omitempty"`

	Opaque     bool   `json:"opaque,omitempty"`      // imported: not of our form, without id and checksum in it
	Lineage    string `json:"lineage,omitempty"`     // id of the first key that it replaces, whose counters go on; "" for itself
	ReplacedBy string `json:"replaced_by,omitempty"` // id of the key that takes its place: it is rotating, and ends at ExpiresAt

	Version int64     `json:"version,omitempty"` // from 1, and more with every change; set by the store
	Created time.Time `json:"created,omitzero"`  // the store's clock says when it is zero

	// LastUsed is to the minute, and a little late. Key and Keys read it, MarkUsed writes it.
	LastUsed time.Time `json:"last_used,omitzero"`
}

// Validate answers an *InvalidError that lists all that is wrong, or nil.
func (k Key) Validate() error {
	var p problems
	p.id("id", k.ID)
	p.id("consumer", k.Consumer)
	p.add("hash", policy.CheckKeyHash(k.Hash))
	p.text("name", k.Name)
	p.list("scopes", k.Scopes, checkScope)
	p.list("groups", k.Groups, checkGroup)
	p.list("routes", k.Routes, checkLine)
	p.list("limits", k.Limits, checkLine)
	if len(k.Networks) > maxList {
		p.add("networks", fmt.Errorf("more than %d", maxList))
	}
	for i, n := range k.Networks {
		if !n.IsValid() || n.Masked() != n || n.Addr().Is4In6() { // an address is unmapped before it is looked for
			p.add(fmt.Sprintf("networks[%d]", i), errors.New("an address range such as 192.0.2.0/24, with no bits set behind its length"))
		} else if first := slices.Index(k.Networks, n); first < i {
			p.repeated("networks", first, i)
		}
	}
	if k.Lineage != "" {
		p.id("lineage", k.Lineage)
	}
	if k.ReplacedBy != "" {
		p.id("replaced_by", k.ReplacedBy)
	}
	p.add("not_before", checkTime(k.NotBefore))
	p.add("expires_at", checkTime(k.ExpiresAt))
	p.add("created", checkTime(k.Created))
	return p.err()
}

// checkTime refuses what RFC 3339 cannot write.
func checkTime(t time.Time) error {
	if year := t.UTC().Year(); year < 1 || year > 9999 {
		return errors.New("the year must be from 1 to 9999")
	}
	return nil
}

func (k Key) clone() Key {
	k.Scopes, k.Groups, k.Routes, k.Limits = cloneList(k.Scopes), cloneList(k.Groups), cloneList(k.Routes), cloneList(k.Limits)
	k.Networks = append([]netip.Prefix(nil), k.Networks...)
	k.NotBefore, k.ExpiresAt, k.Created = plainTime(k.NotBefore), plainTime(k.ExpiresAt), plainTime(k.Created)
	return k
}

// changed is k with what an update may replace, and nothing else, as to has it.
func (k Key) changed(to Key) Key {
	to.ID, to.Consumer, to.Hash, to.Opaque, to.Lineage, to.Created = k.ID, k.Consumer, k.Hash, k.Opaque, k.Lineage, k.Created
	to.LastUsed = time.Time{}
	return to.clone()
}

// validateChange is Validate for an update, which need not say what it cannot replace.
func (k Key) validateChange() error {
	k.Consumer, k.Lineage, k.Created = k.ID, "", time.Time{}
	k.Hash = policy.PlainKeyHash(policy.NewSecret(""))
	return k.Validate()
}

func keyConflict(k Key, stored int64) error {
	return fmt.Errorf("key %q has version %d, not %d: %w", k.ID, stored, k.Version, ErrConflict)
}

// plainTime is what every store gives back: UTC, without Go's monotonic clock.
func plainTime(t time.Time) time.Time { return t.Round(0).UTC() }
