package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// authenticate asks the route's authenticators in their order. One that finds a
// credential of its kind ends the search, be it good or bad.
func (e *Engine) authenticate(ctx context.Context, r *Request, d *Decision) error {
	if d.Route.Public != "" {
		return nil
	}
	for i := range d.Route.Authenticate {
		by := &d.Route.Authenticate[i]
		identity, err := by.Authenticate(ctx, r)
		switch {
		case errors.Is(err, ErrNoCredential):
			continue
		case errors.Is(err, ErrNotMine):
			d.By = by
			continue
		}
		d.By = by
		if err == nil && identity == nil {
			err = fmt.Errorf("authenticator %q proved nothing and said no error", by.Name)
		}
		if err != nil {
			return err
		}
		d.Identity = identity
		if !identity.Expires.IsZero() && !e.now().Before(identity.Expires) {
			return Refuse(Expired, "expired at %s", identity.Expires.UTC().Format(time.RFC3339))
		}
		return nil
	}
	if d.By != nil {
		return Refuse(BadCredential, "no authenticator of route %q knows the token's issuer", d.Route.Name)
	}
	return Refuse(NoCredential, "none of %s was presented", strings.Join(d.Route.authenticatorNames(), ", "))
}
