package authn

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/stile-gate/stile/policy"
)

// Kinds of policy.Ref that a token proves.
const (
	kindSubject = "jwt"        // <iss>|<sub>
	kindClient  = "jwt-client" // <iss>|<client_id or azp>, of a token without sub
)

// claimReader makes an identity of verified claims.
type claimReader struct {
	issuer    string
	audiences []string
	consumer  []policy.ClaimPath // none or one
	groups    []policy.ClaimPath
	scopes    []policy.ClaimPath // the first that is there
	names     []string           // top-level names that are read
}

func newClaimReader(o *JWTOptions) (*claimReader, error) {
	c := &claimReader{issuer: o.Issuer, audiences: o.Audiences, names: registeredClaims()}
	var errs []error
	parse := func(texts ...string) (paths []policy.ClaimPath) {
		for _, text := range texts {
			path, err := policy.ParseClaimPath(text)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			c.names = append(c.names, path.Top())
			paths = append(paths, path)
		}
		return paths
	}
	if o.Claims.Consumer != "" {
		c.consumer = parse(o.Claims.Consumer)
	}
	c.groups = parse(cmp.Or(o.Claims.Groups, "groups"))
	if o.Claims.Scopes != "" {
		c.scopes = parse(o.Claims.Scopes)
	} else {
		c.scopes = parse("scope", "scp")
	}
	return c, errors.Join(errs...)
}

// read checks the claims of a token whose signature and issuer are good, but for the
// dates, which are judged anew each time. Errors of its own say BadCredential; a token
// that is good and names no consumer where it should is Forbidden.
func (c *claimReader) read(claims map[string]any) (*policy.Identity, validity, error) {
	identity := &policy.Identity{Claims: claims}
	if err := checkVariants(claims, c.names); err != nil {
		return nil, validity{}, refuse(err)
	}
	when, err := readValidity(claims)
	if err != nil {
		return nil, validity{}, refuse(err)
	}
	identity.Expires = when.until
	for _, step := range []func(map[string]any, *policy.Identity) error{
		c.checkAudience, c.readHolder, c.readGroups, c.readScopes,
	} {
		if err := step(claims, identity); err != nil {
			return nil, validity{}, refuse(err)
		}
	}
	if identity.ConsumerID, err = c.readConsumer(claims); err != nil {
		return nil, validity{}, err
	}
	return identity, when, nil
}

func refuse(err error) error { return policy.Refuse(policy.BadCredential, "token's claims: %v", err) }

func (c *claimReader) checkAudience(claims map[string]any, _ *policy.Identity) error {
	audience, err := readAudience(claims)
	if err != nil {
		return err
	}
	for _, a := range audience {
		if slices.Contains(c.audiences, a) {
			return nil
		}
	}
	return fmt.Errorf("aud names none of %q", c.audiences)
}

func (c *claimReader) readHolder(claims map[string]any, identity *policy.Identity) error {
	kind, id, err := readHolder(claims)
	identity.Ref = policy.Ref{Kind: kind, ID: c.issuer + "|" + id}
	identity.Credential = id
	return err
}

func (c *claimReader) readGroups(claims map[string]any, identity *policy.Identity) (err error) {
	identity.Groups, err = readFirst(c.groups, claims, readGroups)
	return err
}

func (c *claimReader) readScopes(claims map[string]any, identity *policy.Identity) (err error) {
	identity.Scopes, err = readFirst(c.scopes, claims, readScopes)
	return err
}

// readFirst reads what stands at the first path where anything does.
func readFirst(paths []policy.ClaimPath, claims map[string]any, read func(any) ([]string, error)) ([]string, error) {
	for _, path := range paths {
		value, found, err := path.Find(claims)
		if err != nil {
			return nil, fmt.Errorf("%s %w", path, err)
		}
		if !found {
			continue
		}
		list, err := read(value)
		if err != nil {
			return nil, fmt.Errorf("%s %w", path, err)
		}
		return list, nil
	}
	return nil, nil
}

// readConsumer reads whom the token names in our books. What cannot be an id there is
// nobody's, and must not become part of a store's key.
func (c *claimReader) readConsumer(claims map[string]any) (string, error) {
	if len(c.consumer) == 0 {
		return "", nil
	}
	path := c.consumer[0]
	value, found, err := path.Find(claims)
	if err == nil && !found {
		return "", policy.Refuse(policy.Forbidden, "token has no %s, which names the consumer", path)
	}
	id, ok := value.(string)
	if err != nil || !ok {
		return "", refuse(fmt.Errorf("%s %w", path, policy.ErrOtherType))
	}
	if err := policy.CheckID(id); err != nil {
		return "", policy.Refuse(policy.Forbidden, "token's %s names no consumer: %v", path, err)
	}
	return id, nil
}
