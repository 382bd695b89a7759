package authsvc

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// keyFields is what a caller may say of any key, new or not.
type keyFields struct {
	Name      string         `json:"name,omitempty"`
	Scopes    []string       `json:"scopes,omitempty"`
	Groups    []string       `json:"groups,omitempty"`
	Routes    []string       `json:"routes,omitempty"`
	Networks  []netip.Prefix `json:"networks,omitempty"`
	Limits    []string       `json:"limits,omitempty"`
	NotBefore time.Time      `json:"not_before,omitzero"` // RFC 3339
	ExpiresAt time.Time      `json:"expires_at,omitzero"` // RFC 3339
	Disabled  bool           `json:"disabled,omitempty"`
}

// keyInput is what a caller may ask for. With neither key nor hash, a key is made.
type keyInput struct {
	keyFields
	Consumer string `json:"consumer"`
	Opaque   bool   `json:"opaque,omitempty"` // it is of another system
	Text     string `json:"key,omitempty"`    // to import a key of another system
	Hash     string `json:"hash,omitempty"`   // to import a key whose hash alone is known
	ID       string `json:"id,omitempty"`     // of what is imported; one is made up for ""
}

func (keyInput) mayHoldKey(field string) bool { return field == "key" }

// apply makes the key what the caller says, and leaves the rest as it is.
func (f keyFields) apply(k store.Key) store.Key {
	k.Name, k.Disabled = f.Name, f.Disabled
	k.Scopes, k.Groups, k.Routes, k.Networks, k.Limits = f.Scopes, f.Groups, f.Routes, f.Networks, f.Limits
	k.NotBefore, k.ExpiresAt = f.NotBefore, f.ExpiresAt
	return k
}

// newKey makes a key, or takes the one that is imported. The text is zero when the caller
// has it already, or nobody can know it.
func (a *Admin) newKey(in keyInput) (k store.Key, text policy.Secret, err error) {
	id, made := a.Format.New()
	k = store.Key{ID: id, Consumer: in.Consumer, Hash: a.Pepper.HashKey(made), Opaque: in.Opaque}
	if err := in.checkText(); err != nil {
		return k, text, err
	}
	imported := in.Hash != "" || in.Text != ""
	switch {
	case in.Hash != "" && in.Text != "":
		return k, text, badCall("key and hash exclude each other")
	case !imported && (in.ID != "" || in.Opaque):
		return k, text, badCall("id and opaque are for a key that is imported, with key or hash")
	case !imported:
		return k, made, nil
	case in.ID != "":
		k.ID = in.ID
	}
	if in.Hash != "" {
		k.Hash = in.Hash
		if a.isHashOf(in.Hash, in.ID) || a.isHashOf(in.Hash, in.Name) {
			return k, text, badCall("id or name: it is the key whose hash this is; write something else there")
		}
		return k, text, a.knownPepper(in.Hash)
	}
	if !in.Opaque {
		return k, text, badCall(`a key of another system is imported with "opaque":true`)
	}
	if err := a.Format.CheckForeign(in.Text); err != nil {
		return k, text, badCall("key: %v", err)
	}
	k.Hash = a.Pepper.HashKey(policy.NewSecret(in.Text))
	return k, text, nil
}

// checkText refuses a key of another system that stands in a second field, too: nothing
// would tell it from an id there.
func (in keyInput) checkText() error {
	if in.Text == "" {
		return nil
	}
	texts := slices.Concat([]string{in.ID, in.Consumer, in.Name}, in.Scopes, in.Groups, in.Routes, in.Limits)
	if slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, in.Text) }) {
		return badCall("key: it stands in another field as well, which is shown and logged; write something else there")
	}
	return nil
}

// knownPepper refuses a hash that no key presented here could have.
func (a *Admin) knownPepper(hash string) error {
	if err := policy.CheckKeyHash(hash); err != nil {
		return badCall("hash: %v", err)
	}
	version := policy.PepperVersion(hash)
	if version == 0 {
		return nil
	}
	for _, p := range append([]policy.Pepper{a.Pepper}, a.Old...) {
		if !p.Secret.IsZero() && p.Version == version {
			return nil
		}
	}
	return badCall("hash: it is made with pepper %d, which is neither keys.pepper nor among keys.old_peppers", version)
}

// isHashOf tells whether a hash is that of a key.
func (a *Admin) isHashOf(hash, key string) bool {
	secret := policy.NewSecret(key)
	return slices.ContainsFunc(append([]policy.Pepper{{}, a.Pepper}, a.Old...), func(p policy.Pepper) bool { return p.HashKey(secret) == hash })
}

// checkKey lists all that is wrong with a key, names that nothing has among it.
func (a *Admin) checkKey(k store.Key) error {
	var invalid *store.InvalidError
	if err := k.Validate(); err != nil && !errors.As(err, &invalid) {
		return err
	}
	problems := []string{}
	if invalid != nil {
		problems = invalid.Problems
	}
	problems = append(problems, unknownNames("routes", "route", k.Routes, a.Routes)...)
	problems = append(problems, unknownNames("limits", "limit", k.Limits, a.Limits)...)
	if !k.ExpiresAt.IsZero() && !k.NotBefore.Before(k.ExpiresAt) {
		problems = append(problems, "not_before: it is not before expires_at, so the key would never be good")
	}
	if len(problems) > 0 {
		return &store.InvalidError{Problems: problems}
	}
	return nil
}

func unknownNames(field, noun string, names, known []string) (problems []string) {
	if known == nil {
		return nil
	}
	for i, name := range names {
		if !slices.Contains(known, name) {
			problems = append(problems, fmt.Sprintf("%s[%d]: there is no %s %.80q in the configuration", field, i, noun, name))
		}
	}
	return problems
}

// notOver refuses an end that is past already.
func (a *Admin) notOver(k store.Key) error {
	if !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(a.Now()) {
		return badCall("expires_at is not in the future")
	}
	return nil
}
