package store

import (
	"errors"
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
	// ExpiresAt is when it ends; zero for never. Whoever uses the key checks it.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Created   time.Time `json:"created,omitzero"` // the store's clock says when it is zero
}

// Validate answers an *InvalidError that lists all that is wrong, or nil.
func (k Key) Validate() error {
	var p problems
	p.id("id", k.ID)
	p.id("consumer", k.Consumer)
	p.add("hash", policy.CheckKeyHash(k.Hash))
	p.text("name", k.Name)
	p.list("scopes", k.Scopes, checkScope)
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
	k.Scopes = cloneList(k.Scopes)
	k.ExpiresAt, k.Created = plainTime(k.ExpiresAt), plainTime(k.Created)
	return k
}

// plainTime is what every store gives back: UTC, without Go's monotonic clock.
func plainTime(t time.Time) time.Time { return t.Round(0).UTC() }
