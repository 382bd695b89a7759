package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// authenticate finds out who it is, and remembers addresses that guess.
func (e *Engine) authenticate(ctx context.Context, r *Request, d *Decision) (err error) {
	if d.Route.Public != "" {
		return nil
	}
	if d.Identity, err = e.prove(ctx, r, d); err == nil {
		err = d.Identity.current(e.now())
	}
	if err != nil && e.attempts != nil && ReasonOf(err) == BadCredential {
		e.attempts.Failed(network(r.ClientIP))
	}
	return err
}

// prove asks the route's authenticators in their order. One that finds a credential of its
// kind ends the search, be it good or bad.
func (e *Engine) prove(ctx context.Context, r *Request, d *Decision) (*Identity, error) {
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
		return identity, err
	}
	if d.By != nil {
		return nil, Refuse(BadCredential, "no authenticator of route %q knows the token's issuer", d.Route.Name)
	}
	return nil, Refuse(NoCredential, "none of %s was presented", strings.Join(d.Route.authenticatorNames(), ", "))
}
