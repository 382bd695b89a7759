package authn

import (
	"context"
	"fmt"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// Revocations says which tokens their issuer's dates and signature no longer speak for. An
// error means that it cannot be known, and the token is not let in. It is asked for every
// request, so it must be quick: store.Revocations remembers.
type Revocations interface {
	Revoked(ctx context.Context, t store.TokenRef) (bool, error)
}

// readTokenRef reads the claims that a revocation can name. A token without sub is the
// issuer's to name, by jti or sid.
func readTokenRef(issuer string, claims map[string]any) (store.TokenRef, error) {
	t := store.TokenRef{Issuer: issuer}
	for name, field := range map[string]*string{"jti": &t.JTI, "sub": &t.Subject, "sid": &t.Session} {
		text, err := readText(claims, name, store.MaxTokenClaim)
		if err != nil {
			return t, err
		}
		*field = text
	}
	var err error
	t.IssuedAt, err = readDate(claims, "iat")
	return t.Hashed(), err
}

// checkRevoked asks about a token that is good but for that.
func (j *JWT) checkRevoked(ctx context.Context, p *proof) error {
	if j.options.Revocations == nil {
		return nil
	}
	revoked, err := j.options.Revocations.Revoked(ctx, p.ref)
	switch {
	case err != nil:
		return fmt.Errorf("jwt %q: revocations: %w", j.options.Name, err)
	case revoked:
		return policy.Refuse(policy.BadCredential, "token is revoked")
	}
	return nil
}
