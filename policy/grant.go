package policy

import (
	"context"
)

// grant says yes, and what the upstream hears. What does not apply is left out, and
// everything that a client sent under these names is gone by then.
func (e *Engine) grant(_ context.Context, r *Request, d *Decision) error {
	set := make([]Field, 0, 6)
	add := func(name, value string) {
		if value != "" {
			set = append(set, Field{name, value})
		}
	}
	if d.Identity == nil {
		add(HeaderAnonymous, "true")
	} else {
		add(HeaderCredential, HeaderValue(d.Identity.Credential))
		if d.Identity.Rotating {
			add(HeaderCredentialStatus, "rotating")
		}
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
