package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Decider answers for one request.
type Decider interface {
	Decide(context.Context, *Request) Decision
}

// Decide is the whole path of a request. A step that returns an error ends it, and the
// error's reason is the answer; an error of our own is Unavailable. There is nothing to
// check for the caller but the Decision, and what no step filled in denies.
func (e *Engine) Decide(ctx context.Context, r *Request) Decision {
	d := Decision{RequestID: r.ID}
	for _, step := range [...]step{
		{"admit", (*Engine).admit},               // is it one request, that every program reads alike?
		{"match", (*Engine).match},               // which route?
		{"authenticate", (*Engine).authenticate}, // what does its credential prove?
		{"consumer", (*Engine).consumer},         // who is that in our books?
		{"require", (*Engine).require},           // may they do this?
		{"grant", (*Engine).grant},               // what does the upstream hear of them?
	} {
		if err := step.take(e, ctx, r, &d); err != nil {
			d.Reason, d.Err, d.Step, d.Set = ReasonOf(err), err, step.name, nil
			d.challenge()
			return d
		}
	}
	return d
}

type step struct {
	name string
	take func(*Engine, context.Context, *Request, *Decision) error
}

// admit refuses what could be read in two ways.
func (e *Engine) admit(_ context.Context, r *Request, _ *Decision) error {
	err := r.fault
	switch {
	case err != nil:
	case !r.wasRead:
		err = errors.New("request was not read")
	case !e.methods[r.Method]:
		return Refuse(BadRequest, "method %q is not known to any route", clip(r.Method))
	default:
		err = e.hosts.check(r.Host, r.Port, r.Scheme)
	}
	if err == nil {
		err = e.guard.check(r.Header)
	}
	if err != nil {
		return Refuse(BadRequest, "%v", err)
	}
	return nil
}

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
	return nil
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
	}
	return nil
}

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

// consumer looks up whom the identity belongs to, unless the same look-up found both.
func (e *Engine) consumer(ctx context.Context, _ *Request, d *Decision) (err error) {
	if d.Identity == nil {
		return nil
	}
	d.Consumer = d.Identity.Consumer
	id := d.Identity.ConsumerID
	if d.Consumer == nil && id != "" {
		if d.Consumer, err = e.directory.Consumer(ctx, id); err != nil {
			return err
		}
		if d.Consumer == nil {
			return Refuse(Forbidden, "no consumer %q", id)
		}
	}
	switch {
	case d.Consumer == nil:
		return nil
	case id != "" && d.Consumer.ID != id:
		return fmt.Errorf("asked for consumer %q, got %q", id, d.Consumer.ID)
	case d.Consumer.Disabled:
		return Refuse(Forbidden, "consumer %q is disabled", d.Consumer.ID)
	}
	return nil
}

// require holds the route's demands against who it is.
func (e *Engine) require(_ context.Context, _ *Request, d *Decision) error {
	want := &d.Route.Require
	if len(want.Groups) > 0 && !intersects(d.Groups(), want.Groups) {
		return Refuse(Forbidden, "in none of the groups %s", strings.Join(want.Groups, ", "))
	}
	for _, scope := range want.Scopes {
		if !slices.Contains(d.Identity.Scopes, scope) {
			return Refuse(MissingScope, "no scope %q", scope)
		}
	}
	return nil
}

// grant says yes, and what the upstream hears. What does not apply is left out, and
// everything that a client sent under these names is gone by then.
func (e *Engine) grant(_ context.Context, r *Request, d *Decision) error {
	set := make([]Field, 0, 8)
	add := func(name, value string) {
		if value != "" {
			set = append(set, Field{name, value})
		}
	}
	if d.Identity == nil {
		add(HeaderAnonymous, "true")
	} else {
		add(HeaderCredential, HeaderValue(d.Identity.Credential))
		add(HeaderScope, scopeValue(d.Identity.Scopes))
		add(HeaderConsumerGroups, HeaderList(d.Groups()))
	}
	if d.Consumer != nil {
		add(HeaderConsumerID, HeaderValue(d.Consumer.ID))
		add(HeaderConsumerUsername, HeaderValue(d.Consumer.Username))
		add(HeaderConsumerCustomID, HeaderValue(d.Consumer.CustomID))
	}
	add(HeaderRequestID, r.ID)
	d.Set, d.Reason = set, OK
	return nil
}

func intersects(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}
