package policy

import (
	"fmt"
	"strings"
)

// Field is one header field.
type Field struct{ Name, Value string }

// Decision is the answer to one request. Its zero value denies.
type Decision struct {
	Reason     Reason
	Route      *Route    // nil when none matched
	Method     string    // name of the authenticator that ended the search
	Identity   *Identity // what was proved, if anything
	Consumer   *Consumer // who that is, if known
	Set        []Field   // headers for the upstream, when let in
	Challenges []string  // WWW-Authenticate, one value a line
	RequestID  string
	Step       string // the step that refused; "" when none did
	Err        error  // why, for the log and explain; never for the client
}

// Allowed tells whether the request is let in.
func (d *Decision) Allowed() bool { return d.Reason == OK }

// Groups are the consumer's and the credential's.
func (d *Decision) Groups() []string {
	switch {
	case d.Consumer == nil || len(d.Consumer.Groups) == 0:
		if d.Identity == nil {
			return nil
		}
		return d.Identity.Groups
	case len(d.Identity.Groups) == 0:
		return d.Consumer.Groups
	}
	all := append([]string(nil), d.Consumer.Groups...)
	for _, g := range d.Identity.Groups {
		if !contains(all, g) {
			all = append(all, g)
		}
	}
	return all
}

// challenge writes WWW-Authenticate for the schemes of a route (RFC 9110 §11.6.1, RFC
// 6750 §3): no error code where nothing was presented.
func (d *Decision) challenge() {
	if d.Route == nil {
		return
	}
	var seen []string
	for _, m := range d.Route.Authenticate {
		value := string(m.Scheme) + ` realm="stile"`
		if m.Scheme == Bearer {
			value += d.bearerError()
		}
		if !contains(seen, value) {
			seen = append(seen, value)
		}
	}
	d.Challenges = seen
}

func (d *Decision) bearerError() string {
	switch d.Reason {
	case BadCredential:
		return `, error="invalid_token"`
	case Expired:
		return `, error="invalid_token", error_description="The token has expired"`
	case MissingScope:
		return fmt.Sprintf(`, error="insufficient_scope", scope="%s"`, strings.Join(d.Route.Require.Scopes, " "))
	}
	return ""
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}
