package authn

import (
	"context"
	"fmt"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/stile-gate/stile/policy"
)

// prove verifies a token from scratch. The issuer is read before it is verified only to
// tell whose token this is; everything else that is believed is read after.
func (j *JWT) prove(ctx context.Context, raw string) (*proof, error) {
	bad := func(err error) error { return policy.Refuse(policy.BadCredential, "%v", err) }
	rawHeader, claims, err := parseCompact(raw)
	if err != nil {
		return nil, bad(err)
	}
	issuer, ok := claims["iss"].(string)
	if !ok {
		return nil, policy.Refuse(policy.BadCredential, "token's iss is missing or not a string")
	}
	if issuer != j.options.Issuer {
		return nil, policy.ErrNotMine
	}
	header, err := j.header.read(rawHeader)
	if err != nil {
		return nil, bad(err)
	}
	generation, err := j.verify(ctx, raw, header)
	if err != nil {
		return nil, err
	}
	identity, validity, err := j.claims.read(claims)
	if err != nil {
		return nil, err
	}
	ref, err := readTokenRef(j.options.Issuer, claims)
	if err != nil {
		return nil, refuse(err)
	}
	return &proof{identity, validity, ref, generation}, nil
}

// verify has go-oidc verify the signature with our keys, and returns the generation of
// those.
func (j *JWT) verify(ctx context.Context, raw string, header joseHeader) (generation uint64, err error) {
	v := &verification{keys: j.keys, header: header}
	_, err = oidc.NewVerifier(j.options.Issuer, v, j.config).Verify(ctx, raw)
	switch {
	case v.unavailable != nil:
		return 0, j.unavailable(v.unavailable)
	case v.refused != nil:
		return 0, policy.Refuse(policy.BadCredential, "%v", v.refused)
	case err != nil || v.generation == 0:
		// A claim that go-oidc reads and we do not, such as a nonce that is a number. Its
		// text may quote the claim.
		return 0, policy.Refuse(policy.BadCredential, "token is not of the form that OpenID Connect gives it")
	}
	return v.generation, nil
}

// verification is the oidc.KeySet of one token. go-oidc turns an error of a key set into
// text, so what it was is kept here.
type verification struct {
	keys   *keySet
	header joseHeader

	generation  uint64 // of the keys that verified it; 0 when none did
	unavailable error  // there are no keys to judge by
	refused     error  // there are, and it is not good
}

// VerifySignature implements oidc.KeySet.
func (v *verification) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	keys, err := v.keys.withKey(ctx, v.header.keyID)
	if err != nil {
		v.unavailable = err
		return nil, err
	}
	fit, err := keys.fitting(v.header)
	if err != nil {
		v.refused = err
		return nil, err
	}
	payload, err := (&oidc.StaticKeySet{PublicKeys: fit}).VerifySignature(ctx, raw)
	if err != nil {
		v.refused = fmt.Errorf("signature is not good by key %q", clip(v.header.keyID))
		return nil, v.refused
	}
	v.generation = keys.generation
	return payload, nil
}
