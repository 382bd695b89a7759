package policy

import (
	"context"
	"errors"
)

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
