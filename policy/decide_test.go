package policy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	acme = &Consumer{ID: "acme", Username: "Acme Ltd", CustomID: "c-17", Groups: []string{"partners"}}
	gone = &Consumer{ID: "gone", Disabled: true}
)

// key is what a key of acme's proves, with one thing changed or another.
func key(changes ...func(*Identity)) *Identity {
	id := &Identity{Ref: Ref{"key", "k1"}, Credential: "k1", Scopes: []string{"orders:read"}, ConsumerID: "acme"}
	for _, change := range changes {
		change(id)
	}
	return id
}

// protected is a route for a list of authenticators.
func protected(methods ...NamedAuthenticator) Route {
	return Route{Name: "orders", Match: "/orders", Authenticate: methods}
}

func demanding(require Require, methods ...NamedAuthenticator) Route {
	r := protected(methods...)
	r.Require = require
	return r
}

// answer decides GET /orders by a route, with acme and gone in the books.
func answer(t *testing.T, route Route, changes ...func(*Wire)) Decision {
	t.Helper()
	directory := books{consumers: map[string]*Consumer{"acme": acme, "gone": gone}}
	e := compiled(t, Options{Routes: []Route{route}, Directory: directory})
	return e.Decide(context.Background(), overWire(append([]func(*Wire){requestTarget("/orders")}, changes...)...))
}

// wantRefused checks that a decision lets nobody in and tells an upstream nothing.
func wantRefused(t *testing.T, d Decision, want Reason) {
	t.Helper()
	if d.Reason != want || d.Allowed() {
		t.Errorf("reason is %s (%v), want %s", d.Reason, d.Err, want)
	}
	if d.Set != nil {
		t.Errorf("an upstream would hear %v", d.Set)
	}
	if d.Err == nil {
		t.Error("the log does not learn why")
	}
}

func TestTheZeroDecisionDenies(t *testing.T) {
	var d Decision
	if d.Allowed() || d.Reason.Status() != http.StatusServiceUnavailable || d.Reason != Unavailable {
		t.Errorf("reason is %s, %d", d.Reason, d.Reason.Status())
	}
}

func TestARequestThatNobodyReadIsRefused(t *testing.T) {
	e := compiled(t, Options{Routes: open("/{rest...}")})
	for why, r := range map[string]*Request{
		"the zero request":         {},
		"a method alone":           {Method: "GET"},
		"unreadable":               Unreadable("test", nil, errors.New("no X-Forwarded-Uri")),
		"unreadable without a why": Unreadable("test", http.Header{}, nil),
	} {
		t.Run(why, func(t *testing.T) { wantRefused(t, e.Decide(context.Background(), r), BadRequest) })
	}
}

func TestTheZeroEngineLetsNobodyIn(t *testing.T) {
	e := compiled(t, Options{})
	wantRefused(t, e.Decide(context.Background(), get("/")), NoRoute)
}

func TestAdmitRefuses(t *testing.T) {
	for _, tc := range []struct {
		why, says string
		change    func(*Wire)
	}{
		{"a scheme that is none", "scheme", func(w *Wire) { w.Scheme = "ftp" }},
		{"no scheme", "scheme", func(w *Wire) { w.Scheme = "" }},
		{"a scheme in capitals", "scheme", func(w *Wire) { w.Scheme = "HTTPS" }},
		{"a list of schemes", "scheme", func(w *Wire) { w.Scheme = "https,http" }},
		{"no method", "method", method("")},
		{"a method that is no token", "method", method("GET /admin")},
		{"a method in lower case", "method", method("get")},
		{"TRACE", "method", method("TRACE")},
		{"CONNECT", "method", method("CONNECT")},
		{"a method that no route names", "method", method("PURGE")},
		{"a client that is not known", "client address", func(w *Wire) { w.ClientIP = netip.Addr{} }},
		{"no host", "host", host("")},
		{"a host with a trailing dot", "host", host("api.example.com.")},
		{"two hosts", "host", host("a.com, b.com")},
		{"a port that nobody listens on", "port", host("api.example.com:8443")},
		{"no target", "target", requestTarget("")},
		{"a dot segment", "..", requestTarget("/../admin")},
		{"an identity header", "identity header", header(http.Header{"X-Consumer-Id": {"acme"}})},
		{"an alias of a header that is read", "alias", header(http.Header{"X_forwarded_uri": {"/"}})},
	} {
		t.Run(tc.why, func(t *testing.T) {
			d := answer(t, Route{Name: "all", Match: "/{rest...}", Public: "for a test"}, tc.change)
			wantRefused(t, d, BadRequest)
			wantError(t, d.Err, tc.says)
			if d.Route != nil {
				t.Errorf("route %q was looked for", d.Route.Name)
			}
		})
	}
}

func TestAdmitTakes(t *testing.T) {
	for why, change := range map[string]func(*Wire){
		"WebSocket in the clear": func(w *Wire) { w.Scheme = "ws" },
		"WebSocket over TLS":     func(w *Wire) { w.Scheme = "wss" },
		"a host in capitals":     host("API.EXAMPLE.COM"),
		"HEAD":                   method("HEAD"),
		"OPTIONS":                method("OPTIONS"),
		"no headers at all":      header(nil),
	} {
		if d := answer(t, Route{Name: "all", Match: "/{rest...}", Public: "for a test"}, change); !d.Allowed() {
			t.Errorf("%s: %s, %v", why, d.Reason, d.Err)
		}
	}
}

func TestAMethodThatOneRouteNamesIsKnown(t *testing.T) {
	e := compiled(t, Options{Routes: open("PURGE /cache", "/orders")})
	for request, want := range map[string]Reason{"PURGE /cache": OK, "PURGE /orders": OK, "GET /cache": NoRoute, "BAN /cache": BadRequest} {
		m, raw, _ := strings.Cut(request, " ")
		if reason, _ := decide(e, overWire(method(m), requestTarget(raw))); reason != want {
			t.Errorf("%s: %s, want %s", request, reason, want)
		}
	}
}

func TestAuthenticatorsAreAskedInTheirOrder(t *testing.T) {
	down := errors.New("dial tcp: connection refused")
	bad := Refuse(BadCredential, "no such key")
	none, other := says("none", APIKey, nil, ErrNoCredential), says("other", Bearer, nil, ErrNotMine)
	good := says("good", APIKey, key(), nil)
	for _, tc := range []struct {
		why     string
		methods []NamedAuthenticator
		want    Reason
		method  string
	}{
		{"the first that knows ends the search", []NamedAuthenticator{good, says("second", APIKey, nil, bad)}, OK, "good"},
		{"an absent credential goes on to the next", []NamedAuthenticator{none, good}, OK, "good"},
		{"a token of another issuer goes on to the next", []NamedAuthenticator{other, good}, OK, "good"},
		{"both do, wrapped", []NamedAuthenticator{
			says("a", APIKey, nil, fmt.Errorf("a: %w", ErrNoCredential)), says("b", Bearer, nil, fmt.Errorf("b: %w", ErrNotMine)), good,
		}, OK, "good"},
		{"a bad credential ends the search", []NamedAuthenticator{none, says("bad", APIKey, nil, bad), good}, BadCredential, "bad"},
		{"an expired one ends it", []NamedAuthenticator{says("old", Bearer, nil, Refuse(Expired, "yesterday")), good}, Expired, "old"},
		{"a malformed one ends it", []NamedAuthenticator{says("two", Bearer, nil, Refuse(BadRequest, "header stands 2 times")), good}, BadRequest, "two"},
		{"one that cannot know ends it", []NamedAuthenticator{says("down", APIKey, nil, down), good}, Unavailable, "down"},
		{"an ended context ends it", []NamedAuthenticator{says("slow", APIKey, nil, context.DeadlineExceeded), good}, Unavailable, "slow"},
		{"nothing was presented", []NamedAuthenticator{none, none}, NoCredential, ""},
		{"a token that nobody knows is a bad one", []NamedAuthenticator{other, none}, BadCredential, "other"},
		{"in either order", []NamedAuthenticator{none, other}, BadCredential, "other"},
		{"an error outweighs an identity", []NamedAuthenticator{says("both", APIKey, key(), bad)}, BadCredential, "both"},
		{"an absent credential outweighs an identity", []NamedAuthenticator{says("both", APIKey, key(), ErrNoCredential)}, NoCredential, ""},
		{"an error cannot let in", []NamedAuthenticator{says("ok", APIKey, key(), Refuse(OK, "all is well"))}, Unavailable, "ok"},
	} {
		t.Run(tc.why, func(t *testing.T) {
			d := answer(t, protected(tc.methods...))
			if tc.want != OK {
				wantRefused(t, d, tc.want)
			}
			if d.Reason != tc.want || byName(d) != tc.method {
				t.Errorf("%s by %q (%v), want %s by %q", d.Reason, byName(d), d.Err, tc.want, tc.method)
			}
		})
	}
}

func TestNoneIsAskedAfterTheOneThatEndedTheSearch(t *testing.T) {
	asked := 0
	counting := NamedAuthenticator{Name: "counting", Scheme: APIKey, Authenticator: asking(func() (*Identity, error) { asked++; return key(), nil })}
	for _, first := range []NamedAuthenticator{says("a", APIKey, key(), nil), says("a", APIKey, nil, Refuse(BadCredential, "no"))} {
		if answer(t, protected(first, counting)); asked != 0 {
			t.Fatal("the second was asked")
		}
	}
	for why, change := range map[string]func(*Wire){
		"a request that is refused": requestTarget("/orders/../x"), "a route that is not found": requestTarget("/x"),
	} {
		if answer(t, protected(counting), change); asked != 0 {
			t.Errorf("%s caused a look-up", why)
		}
	}
	if answer(t, Route{Name: "open", Match: "/orders", Public: "for a test"}); asked != 0 {
		t.Error("a public route caused a look-up")
	}
}

// asking is an authenticator that is a function.
type asking func() (*Identity, error)

func (f asking) Authenticate(context.Context, *Request) (*Identity, error) { return f() }

func TestExpiryIsLookedAtAfresh(t *testing.T) {
	for _, tc := range []struct {
		why     string
		expires time.Time
		want    Reason
	}{
		{"never", time.Time{}, OK},
		{"in a nanosecond", now.Add(1), OK},
		{"this very moment", now, Expired},
		{"a nanosecond ago", now.Add(-1), Expired},
		{"in 1970", time.Unix(0, 0), Expired},
		{"elsewhere, the same moment", now.In(time.FixedZone("", 7200)), Expired},
	} {
		d := answer(t, protected(says("k", Bearer, key(func(i *Identity) { i.Expires = tc.expires }), nil)))
		if d.Reason != tc.want || tc.want == Expired && d.Set != nil {
			t.Errorf("%s: %s, want %s", tc.why, d.Reason, tc.want)
		}
	}
}

func TestAnAuthenticatorThatProvesNothingLetsNobodyIn(t *testing.T) {
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("neither identity nor error: Decide panics: %v", p)
		}
	}()
	wantRefused(t, answer(t, protected(says("nil", APIKey, nil, nil))), Unavailable)
}

func TestAnAuthenticatorThatPanicsLetsNobodyIn(t *testing.T) {
	var d Decision
	func() {
		defer func() { _ = recover() }() // whoever serves recovers, and answers 500
		d = answer(t, protected(NamedAuthenticator{Name: "p", Scheme: APIKey, Authenticator: asking(func() (*Identity, error) { panic("boom") })}))
	}()
	if d.Allowed() || d.Set != nil {
		t.Errorf("%s with %v", d.Reason, d.Set)
	}
}

func TestWhatDecideIsAskedItDoesNotChange(t *testing.T) {
	id, h := key(), http.Header{"Authorization": {"Bearer x"}}
	before, copied := *id, h.Clone()
	if d := answer(t, protected(says("k", APIKey, id, nil)), header(h)); !d.Allowed() {
		t.Fatal(d.Err)
	}
	if diff := cmp.Diff(before, *id) + cmp.Diff(copied, h); diff != "" {
		t.Error(diff)
	}
}
