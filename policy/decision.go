package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Field is one header field.
type Field struct{ Name, Value string }

// Decision is the answer to one request. Its zero value denies.
type Decision struct {
	Reason     Reason
	Route      *Route              // nil when none matched
	By         *NamedAuthenticator // which ended the search; nil when none did
	Identity   *Identity           // what was proved, if anything
	Consumer   *Consumer           // who that is, if known
	Balances   []Balance           // of the limits that apply
	Wait       time.Duration       // until the next attempt, for who is throttled
	Set        []Field             // headers for the upstream, when let in
	Challenges []string            // WWW-Authenticate, one value a line
	RequestID  string
	Step       string // the step that refused; "" when none did
	Err        error  // why, for the log and explain; never for the client
}

// Allowed tells whether the request is let in.
func (d *Decision) Allowed() bool { return d.Reason == OK }

// Groups are the consumer's and the credential's.
func (d *Decision) Groups() []string {
	var ofConsumer, ofCredential []string
	if d.Consumer != nil {
		ofConsumer = d.Consumer.Groups
	}
	if d.Identity != nil {
		ofCredential = d.Identity.Groups
	}
	switch {
	case len(ofCredential) == 0:
		return ofConsumer
	case len(ofConsumer) == 0:
		return ofCredential
	}
	all := slices.Clone(ofConsumer)
	for _, g := range ofCredential {
		if !slices.Contains(all, g) {
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
		if m.Scheme == Bearer && d.By != nil && d.By.Scheme == Bearer {
			value += d.bearerError() // of a token that was presented, not of a key
		}
		if !slices.Contains(seen, value) {
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
