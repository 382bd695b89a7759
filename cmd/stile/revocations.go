package main

import (
	"maps"
	"slices"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/cmd/stile/config"
)

// revocationsOf makes what knows of revoked tokens, or keeps that of the old program.
func revocationsOf(p parts, old *program) *store.Revocations {
	if old != nil {
		return old.revoked
	}
	return store.NewRevocations(store.RevocationOptions{
		Source: p.store, Followed: p.followed,
		Count:  func(result string) { p.metrics.countCache("revocation", result) },
		Failed: func(err error) { p.log.Warn("revoked tokens cannot be listed; each is asked about", "error", err) },
	})
}

// announceToken has this process refuse revoked tokens at once.
func (prog *program) announceToken(_, id string) error {
	prog.revoked.Apply(id)
	return nil
}

// issuersOf are those whose tokens some authenticator takes.
func issuersOf(c *config.Config) []string {
	issuers := map[string]bool{}
	for _, a := range c.Authenticators {
		if a.JWT != nil {
			issuers[a.JWT.Issuer] = true
		}
	}
	return slices.Sorted(maps.Keys(issuers))
}
