package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
		{"throttle", (*Engine).throttle},         // has this address guessed too often?
		{"authenticate", (*Engine).authenticate}, // what does its credential prove?
		{"consumer", (*Engine).consumer},         // who is that in our books?
		{"require", (*Engine).require},           // may they do this?
		{"spend", (*Engine).spend},               // is it within their limits?
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

// require holds the route's demands against who it is, and the credential's own bounds
// against the request.
func (e *Engine) require(_ context.Context, r *Request, d *Decision) error {
	if d.Identity != nil {
		if err := d.Identity.confines(r, d.Route); err != nil {
			return err
		}
	}
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

func intersects(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}
