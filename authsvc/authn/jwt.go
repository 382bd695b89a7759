// Package authn turns credentials into identities: API keys and JSON Web Tokens. Each
// authenticator implements policy.Authenticator. It says what was proved and judges
// nothing else; what it remembers is proofs, never a verdict.
package authn

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/maypok86/otter/v2"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// JWT accepts the signed tokens of one issuer (RFC 7519, RFC 8725), as bearer tokens (RFC
// 6750 §2.1) or in a cookie.
type JWT struct {
	options JWTOptions
	header  headerDemands
	config  *oidc.Config
	keys    *keySet
	claims  *claimReader
	proofs  *otter.Cache[digest, *proof]
}

// digest is a token's SHA-256, so that the cache holds nothing that could be presented.
type digest = [sha256.Size]byte

// proof is what one token proved under the keys of one generation. It never changes.
type proof struct {
	identity   *policy.Identity
	validity   validity
	ref        store.TokenRef // what it could be revoked by
	generation uint64
}

var _ policy.Authenticator = (*JWT)(nil)

// NewJWT makes an authenticator, or returns every problem with the options. It asks the
// issuer nothing yet: see Warm.
func NewJWT(o JWTOptions) (*JWT, error) {
	optionsErr := o.complete()
	claims, claimsErr := newClaimReader(&o)
	if err := errors.Join(optionsErr, claimsErr); err != nil {
		return nil, oneLine{err}
	}
	proofs, err := otter.New(&otter.Options[digest, *proof]{MaximumSize: o.CacheEntries})
	if err != nil {
		return nil, err
	}
	return &JWT{
		options: o,
		header:  headerDemands{algorithms: o.Algorithms, mediaType: o.Type},
		// Audience and dates are ours to check: go-oidc knows one audience, and takes a
		// token at exp, and one five minutes before nbf.
		config: &oidc.Config{SupportedSigningAlgs: o.Algorithms, SkipClientIDCheck: true, SkipExpiryCheck: true},
		keys:   newKeySet(o.source(), o.keyTimes(), o.Now),
		claims: claims,
		proofs: proofs,
	}, nil
}

// Authenticate answers policy.ErrNoCredential where there is no bearer token,
// policy.ErrNotMine for a token of another issuer, and an error without a reason
// (Unavailable) when the issuer's keys cannot be had. Whether the token was revoked is
// asked each time, last. The signature is judged before the
// dates: Expired is a token that was good once.
func (j *JWT) Authenticate(ctx context.Context, r *policy.Request) (*policy.Identity, error) {
	raw, err := j.token(r)
	if err != nil {
		return nil, err
	}
	p, err := j.proof(ctx, raw)
	if err != nil {
		return nil, err
	}
	if err := p.validity.check(j.options.Now()); err != nil {
		return nil, err
	}
	if err := j.checkRevoked(ctx, p); err != nil {
		return nil, err
	}
	return p.identity, nil
}

// token finds the one token of a request. Two ways at once are a BadRequest (RFC 6750
// §2), for another program could read the other.
func (j *JWT) token(r *policy.Request) (string, error) {
	raw, err := bearerToken(r)
	if name := j.options.Cookie; name != "" {
		cookie, cookieErr := cookieValue(r, name)
		switch {
		case errors.Is(cookieErr, policy.ErrNoCredential): // what the header says stands
		case errors.Is(err, policy.ErrNoCredential):
			raw, err = cookie, cookieErr
		case err == nil:
			err = policy.Refuse(policy.BadRequest, "a token stands in Authorization and in cookie %s", name)
		}
	}
	if err == nil && len(raw) > j.options.MaxToken {
		err = policy.Refuse(policy.BadCredential, "token is longer than %d bytes", j.options.MaxToken)
	}
	return raw, err
}

// proof remembers what tokens proved. A key that is gone takes its proofs along, since
// they are of an older generation.
func (j *JWT) proof(ctx context.Context, raw string) (*proof, error) {
	// Room on the stack for a token of the usual length spares an allocation.
	sum := sha256.Sum256(append(make([]byte, 0, 1<<10), raw...))
	if p, ok := j.proofs.GetIfPresent(sum); ok {
		keys, err := j.keys.usable(ctx)
		if err != nil {
			return nil, j.unavailable(err)
		}
		if p.generation == keys.generation {
			return p, nil
		}
	}
	p, err := j.prove(ctx, raw)
	if err != nil {
		return nil, err
	}
	j.proofs.Set(sum, p)
	return p, nil
}

// Warm fetches the keys if that is due, and waits for them. An error means that there are
// none to be used. It keeps to the minimum interval like any token, so it may be called
// at start and for every /readyz.
func (j *JWT) Warm(ctx context.Context) error {
	if _, err := j.keys.usable(ctx); err != nil {
		return j.unavailable(err)
	}
	return nil
}

// State says how the issuer's keys stand.
func (j *JWT) State() KeyState { return j.keys.state() }

// unavailable names the issuer in an error that carries no reason.
func (j *JWT) unavailable(err error) error {
	return fmt.Errorf("jwt %q: keys of %s: %w", j.options.Name, j.options.Issuer, err)
}
