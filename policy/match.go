package policy

import (
	"context"
)

// match finds the route, and refuses a path that an upstream could take for one of
// another route.
func (e *Engine) match(_ context.Context, r *Request, d *Decision) error {
	route := e.routes.match(r.Method, r.Host, r.Path)
	if r.target.escaped {
		if err := e.matchReadings(r, route); err != nil {
			return err
		}
	}
	if route == nil {
		return Refuse(NoRoute, "no route matches %s %s%s", r.Method, r.Host, r.Path)
	}
	d.Route = route
	return e.matchOtherSlash(r, route, r.Path)
}

func (e *Engine) matchReadings(r *Request, route *Route) error {
	var accepted Encoded
	if route != nil {
		accepted = route.Encoded
	}
	if extra := r.target.encoded &^ accepted; extra != 0 {
		return Refuse(BadRequest, "path has an escaped %s, which its route does not accept", extra)
	}
	readings, err := r.target.readings()
	if err != nil {
		return Refuse(BadRequest, "%v", err)
	}
	for _, path := range readings {
		if other := e.routes.match(r.Method, r.Host, path); other != nil && other != route {
			return Refuse(BadRequest, "an upstream could read the path as %s", path)
		}
		if err := e.matchOtherSlash(r, route, path); err != nil {
			return err
		}
	}
	return nil
}

// matchOtherSlash refuses a path that a wide route took, where a narrower one has it but
// for the slash at its end: many upstreams make no difference.
func (e *Engine) matchOtherSlash(r *Request, route *Route, path string) error {
	if route == nil || !route.pattern.open() {
		return nil
	}
	other := e.routes.matchOtherSlash(r.Method, r.Host, path)
	if other == nil || other == route || !other.pattern.claims(route.pattern) {
		return nil
	}
	return Refuse(BadRequest, "path belongs to another route but for the slash at its end")
}
