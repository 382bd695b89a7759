package policy

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// now is the moment at which every decision of these tests is made.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// reporter is what *testing.T, *testing.B, *testing.F and *rapid.T have in common.
type reporter interface {
	Helper()
	Errorf(string, ...any)
	Fatalf(string, ...any)
}

// compiled makes an engine of routes that must load. Its clock stands still.
func compiled(t reporter, o Options) *Engine {
	t.Helper()
	o.Now = func() time.Time { return now }
	e, errs := NewEngine(o)
	if len(errs) > 0 {
		t.Fatalf("%v", errs)
	}
	return e
}

// open makes a public route for each pattern, called by it.
func open(patterns ...string) []Route {
	routes := make([]Route, len(patterns))
	for i, p := range patterns {
		routes[i] = Route{Name: p, Match: p, Public: "for a test"}
	}
	return routes
}

// opting is one public route that takes some escapes as data.
func opting(pattern string, accepts Encoded) Route {
	return Route{Name: pattern, Match: pattern, Public: "for a test", Encoded: accepts}
}

// overWire is a request as an edge would tell it, with one thing changed or another.
func overWire(changes ...func(*Wire)) *Request {
	w := Wire{
		Edge: "test", Method: http.MethodGet, Scheme: "https", Host: "api.example.com",
		Target: "/", Header: http.Header{}, ClientIP: netip.MustParseAddr("192.0.2.7"),
	}
	for _, change := range changes {
		change(&w)
	}
	return NewRequest(w)
}

func method(m string) func(*Wire)        { return func(w *Wire) { w.Method = m } }
func host(h string) func(*Wire)          { return func(w *Wire) { w.Host = h } }
func header(h http.Header) func(*Wire)   { return func(w *Wire) { w.Header = h } }
func requestTarget(s string) func(*Wire) { return func(w *Wire) { w.Target = s } }

// get is an unremarkable request for a target.
func get(raw string) *Request { return overWire(requestTarget(raw)) }

// decide asks an engine and returns the reason and the name of the route.
func decide(e *Engine, r *Request) (Reason, string) {
	d := e.Decide(context.Background(), r)
	if d.Route == nil {
		return d.Reason, ""
	}
	return d.Reason, d.Route.Name
}

// answers is an authenticator that always answers the same.
type answers struct {
	identity *Identity
	err      error
}

func (a answers) Authenticate(context.Context, *Request) (*Identity, error) { return a.identity, a.err }

// says names an authenticator of the given scheme that always answers the same.
func says(name string, scheme Scheme, identity *Identity, err error) NamedAuthenticator {
	return NamedAuthenticator{Name: name, Scheme: scheme, Authenticator: answers{identity, err}}
}

// books is a directory in memory; an unreadable one cannot know.
type books struct {
	consumers map[string]*Consumer
	err       error
}

func (b books) Consumer(_ context.Context, id string) (*Consumer, error) {
	return b.consumers[id], b.err
}

// wantError checks that err is one whose text holds part.
func wantError(t reporter, err error, part string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one that says %q", part)
	} else if !strings.Contains(err.Error(), part) {
		t.Errorf("error %q does not say %q", err, part)
	}
}

// byName is the name of the authenticator that ended the search.
func byName(d Decision) string {
	if d.By == nil {
		return ""
	}
	return d.By.Name
}
