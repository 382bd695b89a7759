package authsvc

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

// granted is a decision with everything in it.
func granted() policy.Decision {
	return policy.Decision{
		Reason: policy.OK, RequestID: "r-1", Challenges: []string{"ApiKey realm=never"}, Err: errors.New("never shown"),
		Route: &policy.Route{Name: "orders"}, Consumer: &policy.Consumer{ID: "acme"},
		Set: []policy.Field{
			{Name: "X-Credential-Identifier", Value: "k1"},
			{Name: "X-Authenticated-Scope", Value: "orders:read orders:write"},
			{Name: "X-Consumer-Groups", Value: "partners, staff%2Cnight"},
			{Name: "X-Consumer-Id", Value: "acme"},
			{Name: "X-Consumer-Username", Value: "Acme Ltd"},
			{Name: "X-Consumer-Custom-Id", Value: "42"},
			{Name: "X-Request-Id", Value: "r-1"},
		},
	}
}

// Some edges take nothing but exactly this for a yes.
func TestAllowIsExactly200EmptyAndTheHeadersOfTheDecision(t *testing.T) {
	for _, tc := range []struct {
		what string
		d    policy.Decision
	}{
		{"everything", granted()},
		{"anonymous", policy.Decision{Reason: policy.OK, RequestID: "r-1", Set: []policy.Field{{Name: "X-Anonymous-Consumer", Value: "true"}, {Name: "X-Request-Id", Value: "r-1"}}}},
		{"nothing", policy.Decision{Reason: policy.OK}},
	} {
		addr := listening(t, always(tc.d), loopback)
		for _, g := range tongues() {
			want := http.Header{"Content-Length": {"0"}}
			if g.edge == "caddy" { // needs to be told what does not apply
				for _, name := range policy.IdentityHeaders() {
					want[name] = []string{""}
				}
			}
			for _, f := range tc.d.Set {
				want[f.Name] = []string{f.Value}
			}
			if g.edge == "nginx-accel" {
				want["X-Accel-Redirect"] = []string{"@upstream"}
			}
			resp := g.ask(t, addr, g.fields("/open/x"))
			delete(resp.Header, "Date") // the one that net/http adds
			if resp.Status != http.StatusOK || resp.Body != "" || !maps.EqualFunc(resp.Header, want, slices.Equal) {
				t.Errorf("%s: %s: %d %q %v, want 200 and %v", g, tc.what, resp.Status, resp.Body, resp.Header, want)
			}
			// HEAD has no body to tell the length of; else it is the same.
			head := servers.Send(t, addr, subrequest("HEAD "+g.url, g.fields("/open/x")...))
			delete(head.Header, "Date")
			delete(want, "Content-Length")
			delete(head.Header, "Content-Length")
			if head.Status != http.StatusOK || !maps.EqualFunc(head.Header, want, slices.Equal) {
				t.Errorf("%s: HEAD: %s: %d %v, want 200 and %v", g, tc.what, head.Status, head.Header, want)
			}
		}
	}
}

// Nothing of what the upstream was to hear, nor why, goes out with a refusal.
func TestARefusalIsExactlyItsReason(t *testing.T) {
	challenges := []string{`ApiKey realm="stile"`, `Bearer realm="stile"`}
	for _, reason := range policy.Reasons() {
		if reason == policy.OK {
			continue
		}
		d := granted()
		d.Reason, d.Challenges = reason, challenges
		addr := listening(t, always(d), loopback)
		for _, g := range tongues() {
			resp := g.ask(t, addr, g.fields("/open/x"))
			g.wants(t, resp, "a refusal", reason)
			want := http.Header{"Cache-Control": {"no-store"}, "X-Request-Id": {"r-1"}}
			if reason.Status() == http.StatusUnauthorized || reason == policy.MissingScope {
				want["Www-Authenticate"] = challenges
			}
			if reason == policy.Unavailable || reason.Status() == http.StatusTooManyRequests {
				want["Retry-After"] = []string{"1"}
			}
			if g.edge == "nginx" {
				want["X-Stile-Status"] = []string{strconv.Itoa(reason.Status())}
				want["X-Stile-Reason"] = []string{reason.String()}
				want["Content-Length"] = []string{"0"}
				if resp.Body != "" {
					t.Errorf("%s: %s: nginx throws the body away, and got %q", g, reason, resp.Body)
				}
			} else {
				want["Content-Type"] = []string{"application/problem+json"}
				want["Content-Length"] = []string{strconv.Itoa(len(resp.Body))}
				checkProblem(t, g, resp, reason)
			}
			delete(resp.Header, "Date")
			if !maps.EqualFunc(resp.Header, want, slices.Equal) {
				t.Errorf("%s: %s: headers %v, want %v", g, reason, resp.Header, want)
			}
		}
	}
}

// checkProblem holds a body against RFC 9457 and the closed table of reasons.
func checkProblem(t *testing.T, g tongue, resp *servers.Response, reason policy.Reason) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal([]byte(resp.Body), &got); err != nil {
		t.Errorf("%s: %s: %v", g, reason, err)
	}
	want := map[string]any{
		"type": "urn:stile:" + reason.String(), "title": reason.Title(), "status": float64(reason.Status()), "request_id": "r-1",
	}
	if reason == policy.BadRequest { // what to mend is the client's to know, and nothing else is
		want["detail"] = "never shown"
	}
	if !maps.Equal(got, want) {
		t.Errorf("%s: %s: body %v, want %v", g, reason, got, want)
	}
}

// A challenge stands once a scheme, though two authenticators share it.
func TestAChallengeStandsOnceAScheme(t *testing.T) {
	keys := policy.NamedAuthenticator{Name: "partner", Scheme: policy.APIKey, Authenticator: keyHolder{}}
	more := policy.NamedAuthenticator{Name: "guest", Scheme: policy.APIKey, Authenticator: keyHolder{}}
	staff := policy.NamedAuthenticator{Name: "staff", Scheme: policy.Bearer, Authenticator: keyHolder{}}
	e, errs := policy.NewEngine(policy.Options{Routes: []policy.Route{
		{Name: "keys", Match: "/keys", Authenticate: []policy.NamedAuthenticator{keys, more}},
		{Name: "both", Match: "/both", Authenticate: []policy.NamedAuthenticator{keys, staff, more}},
	}})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	addr := listening(t, e, loopback)
	for target, want := range map[string][]string{
		"/keys": {`ApiKey realm="stile"`},
		"/both": {`ApiKey realm="stile"`, `Bearer realm="stile"`},
		"/none": nil,
	} {
		for _, g := range tongues() {
			if got := g.ask(t, addr, g.fields(target)).Header["Www-Authenticate"]; !slices.Equal(got, want) {
				t.Errorf("%s: %s: WWW-Authenticate %q, want %q", g, target, got, want)
			}
		}
	}
}

// The zero Decision denies in every dialect.
func TestTheZeroDecisionDenies(t *testing.T) {
	addr := listening(t, always{}, loopback)
	for _, g := range tongues() {
		g.wants(t, g.ask(t, addr, g.fields("/open/x")), "nobody filled it in", policy.Unavailable)
	}
}
