package policy

import (
	"fmt"
	"strings"
	"time"
)

// Explanation is a decision in words, step by step, for people. It holds no secret.
type Explanation struct {
	Reason    string            `json:"reason"`
	Status    int               `json:"status"`
	Route     string            `json:"route,omitempty"`
	Consumer  string            `json:"consumer,omitempty"`
	Steps     []ExplainedStep   `json:"steps"`
	Headers   map[string]string `json:"headers,omitempty"` // what the upstream would get
	RequestID string            `json:"request_id"`
}

// ExplainedStep is one step of Decide: what it found, and whether it ended the decision.
type ExplainedStep struct {
	Step    string `json:"step"`
	Refused bool   `json:"refused,omitempty"`
	Detail  string `json:"detail"`
}

// Explain puts a decision into words. It derives all from the decision, so that a dry run
// takes the very path of a real request.
func Explain(r *Request, d *Decision) Explanation {
	x := Explanation{Reason: d.Reason.String(), Status: d.Reason.Status(), RequestID: d.RequestID}
	if d.Route != nil {
		x.Route = d.Route.Name
	}
	if d.Consumer != nil {
		x.Consumer = d.Consumer.ID
	}
	for _, step := range [...]struct {
		name  string
		found func(*Request, *Decision) string
	}{
		{"admit", admitted},
		{"match", matched},
		{"throttle", throttled},
		{"authenticate", authenticated},
		{"consumer", identified},
		{"require", required},
		{"spend", spent},
		{"grant", granted},
	} {
		if step.name == d.Step {
			x.Steps = append(x.Steps, ExplainedStep{Step: step.name, Refused: true, Detail: refused(d)})
			return x
		}
		x.Steps = append(x.Steps, ExplainedStep{Step: step.name, Detail: step.found(r, d)})
	}
	x.Headers = map[string]string{}
	for _, f := range d.Set {
		x.Headers[f.Name] = f.Value
	}
	return x
}

// Mask takes the secrets of keys out, wherever somebody put one.
func (x Explanation) Mask(f KeyFormat) Explanation {
	x.RequestID = f.Mask(x.RequestID)
	for i := range x.Steps {
		x.Steps[i].Detail = f.Mask(x.Steps[i].Detail)
	}
	for name, value := range x.Headers {
		x.Headers[name] = f.Mask(value)
	}
	return x
}

func refused(d *Decision) string {
	detail := d.Err.Error()
	switch {
	case d.Step == "authenticate":
		return triedBefore(d) + detail
	case d.Step == "spend" && len(d.Balances) > 0:
		return fmt.Sprintf("%s, for %ds; %s", detail, d.retryAfter(), balances(d))
	}
	return detail
}

func admitted(r *Request, _ *Decision) string {
	return fmt.Sprintf("%s %s://%s%s from %s", r.Method, r.Scheme, r.Host, r.Path, r.ClientIP)
}

func matched(_ *Request, d *Decision) string {
	return fmt.Sprintf("route %q: %s", d.Route.Name, d.Route.Match)
}

func authenticated(_ *Request, d *Decision) string {
	if d.Route.Public != "" {
		return "public: " + d.Route.Public
	}
	detail := fmt.Sprintf("%s%s: %s %q is good", triedBefore(d), d.By.Name, d.Identity.Kind, d.Identity.Credential)
	if !d.Identity.Expires.IsZero() {
		detail += " until " + d.Identity.Expires.UTC().Format("2006-01-02T15:04:05Z")
	}
	return detail
}

// triedBefore names the authenticators that found nothing of theirs.
func triedBefore(d *Decision) string {
	var b strings.Builder
	for i := range d.Route.Authenticate {
		a := &d.Route.Authenticate[i]
		if a == d.By {
			break
		}
		b.WriteString(a.Name + ": nothing of its own; ")
	}
	return b.String()
}

func identified(_ *Request, d *Decision) string {
	if d.Consumer == nil {
		return "the identity names nobody in our books, and need not"
	}
	return fmt.Sprintf("consumer %q %s", d.Consumer.ID, d.Consumer.Username)
}

func required(_ *Request, d *Decision) string {
	want := d.Route.Require
	if len(want.Groups)+len(want.Scopes) == 0 {
		return "nothing is demanded"
	}
	return fmt.Sprintf("groups %v, one of %v; scopes %v, all of %v",
		d.Groups(), want.Groups, d.Identity.Scopes, want.Scopes)
}

func throttled(*Request, *Decision) string { return "a dry run is never throttled" }

func spent(_ *Request, d *Decision) string {
	if len(d.Balances) == 0 {
		return "no limit applies"
	}
	return balances(d)
}

// balances says how each limit stands.
func balances(d *Decision) string {
	var b strings.Builder
	for i, balance := range d.Balances {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s: %d left, all of it in %s", balance.Limit.Name, balance.Remaining, balance.Reset.Round(time.Second))
	}
	return b.String()
}

func granted(_ *Request, d *Decision) string {
	return fmt.Sprintf("%d headers for the upstream", len(d.Set))
}
