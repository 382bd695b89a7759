package policy

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheConsumerOfAnIdentity(t *testing.T) {
	named := func(id string) func(*Identity) { return func(i *Identity) { i.ConsumerID = id } }
	brought := func(c *Consumer) func(*Identity) { return func(i *Identity) { i.Consumer = c } }
	for _, tc := range []struct {
		why  string
		id   *Identity
		want Reason
		who  *Consumer
	}{
		{"is looked up", key(), OK, acme},
		{"may come with it", key(brought(&Consumer{ID: "acme"})), OK, &Consumer{ID: "acme"}},
		{"may be nobody", key(named("")), OK, nil},
		{"may not be one who is not in our books", key(named("stranger")), Forbidden, nil},
		{"may not be disabled", key(named("gone")), Forbidden, gone},
		{"may not be disabled and come with it", key(named("gone"), brought(gone)), Forbidden, gone},
	} {
		t.Run(tc.why, func(t *testing.T) {
			d := answer(t, protected(says("k", APIKey, tc.id, nil)))
			if tc.want != OK {
				wantRefused(t, d, tc.want)
			}
			if d.Reason != tc.want {
				t.Errorf("%s (%v), want %s", d.Reason, d.Err, tc.want)
			}
			if diff := cmp.Diff(tc.who, d.Consumer); diff != "" {
				t.Errorf("consumer: %s", diff)
			}
		})
	}
}

// An identity says whom it belongs to in two fields. One that fills in only the second
// must not slip past the look at Disabled.
func TestADisabledConsumerIsRefusedHoweverItIsNamed(t *testing.T) {
	id := key(func(i *Identity) { i.ConsumerID, i.Consumer = "", gone })
	if d := answer(t, protected(says("k", APIKey, id, nil))); d.Allowed() {
		t.Errorf("let in, as %v", d.Set)
	}
}

func TestADirectoryThatCannotKnowLetsNobodyIn(t *testing.T) {
	route := protected(says("k", APIKey, key(), nil))
	for why, directory := range map[string]Directory{
		"out of reach":                       books{err: errors.New("dial tcp: connection refused")},
		"out of reach, with an answer":       books{err: errors.New("stale"), consumers: map[string]*Consumer{"acme": acme}},
		"an error of the store that says ok": books{err: Refuse(OK, "fine")},
	} {
		e := compiled(t, Options{Routes: []Route{route}, Directory: directory})
		t.Run(why, func(t *testing.T) { wantRefused(t, e.Decide(context.Background(), get("/orders")), Unavailable) })
	}
}

func TestGroupsAreAlternativesAndScopesAreNot(t *testing.T) {
	id := key(func(i *Identity) { i.Groups, i.Scopes = []string{"beta", "partners"}, []string{"a", "b"} })
	for _, tc := range []struct {
		why     string
		require Require
		want    Reason
	}{
		{"nothing demanded", Require{}, OK},
		{"a group of the consumer", Require{Groups: []string{"partners"}}, OK},
		{"a group of the credential", Require{Groups: []string{"beta"}}, OK},
		{"one group of two", Require{Groups: []string{"staff", "partners"}}, OK},
		{"no group of two", Require{Groups: []string{"staff", "admins"}}, Forbidden},
		{"a group in capitals", Require{Groups: []string{"Partners"}}, Forbidden},
		{"a part of a group's name", Require{Groups: []string{"partner"}}, Forbidden},
		{"all scopes", Require{Scopes: []string{"a", "b"}}, OK},
		{"one scope", Require{Scopes: []string{"b"}}, OK},
		{"one scope of two", Require{Scopes: []string{"a", "c"}}, MissingScope},
		{"a scope in capitals", Require{Scopes: []string{"A"}}, MissingScope},
		{"a group and a scope", Require{Groups: []string{"beta"}, Scopes: []string{"a"}}, OK},
		{"a group but not the scope", Require{Groups: []string{"beta"}, Scopes: []string{"c"}}, MissingScope},
		{"neither: the group comes first", Require{Groups: []string{"staff"}, Scopes: []string{"c"}}, Forbidden},
		{"a group's name is no scope", Require{Scopes: []string{"partners"}}, MissingScope},
	} {
		d := answer(t, demanding(tc.require, says("k", APIKey, id, nil)))
		if d.Reason != tc.want || (d.Set == nil) == d.Allowed() {
			t.Errorf("%s: %s with %v, want %s", tc.why, d.Reason, d.Set, tc.want)
		}
	}
}

func TestNobodyIsInAGroupUnlessItIsSaid(t *testing.T) {
	for why, id := range map[string]*Identity{
		"no consumer and no groups": key(func(i *Identity) { i.ConsumerID, i.Scopes = "", nil }),
		"a group without a name":    key(func(i *Identity) { i.ConsumerID, i.Groups = "", []string{""} }),
	} {
		d := answer(t, demanding(Require{Groups: []string{"partners"}}, says("k", APIKey, id, nil)))
		if d.Reason != Forbidden {
			t.Errorf("%s: %s", why, d.Reason)
		}
	}
}

func TestGroupsOfConsumerAndCredentialAreOneList(t *testing.T) {
	for _, tc := range []struct{ consumer, credential, want []string }{
		{nil, nil, nil},
		{[]string{"a"}, nil, []string{"a"}},
		{nil, []string{"b"}, []string{"b"}},
		{[]string{"a", "b"}, []string{"b", "c"}, []string{"a", "b", "c"}},
	} {
		consumer := &Consumer{Groups: append(make([]string, 0, 8), tc.consumer...)} // with room to spoil
		if tc.consumer == nil {
			consumer.Groups = nil
		}
		d := Decision{Consumer: consumer, Identity: &Identity{Groups: tc.credential}}
		if diff := cmp.Diff(tc.want, d.Groups()); diff != "" {
			t.Error(diff)
		}
		if room := consumer.Groups[:cap(consumer.Groups)]; len(room) > len(tc.consumer) && room[len(tc.consumer)] != "" {
			t.Errorf("the consumer's own list was written to: %q", room)
		}
	}
	if got := (&Decision{}).Groups(); got != nil {
		t.Errorf("nobody is in %q", got)
	}
}

func TestWhatAnUpstreamHears(t *testing.T) {
	requestID := func(w *Wire) { w.Header = http.Header{HeaderRequestID: {"r-1"}} }
	changed := func(change func(*Identity)) Route { return protected(says("k", APIKey, key(change), nil)) }
	for _, tc := range []struct {
		why   string
		route Route
		want  []Field
	}{
		{"everything of a known consumer", protected(says("k", APIKey, key(), nil)), []Field{
			{"X-Credential-Identifier", "k1"},
			{"X-Authenticated-Scope", "orders:read"},
			{"X-Consumer-Groups", "partners"},
			{"X-Consumer-Id", "acme"},
			{"X-Consumer-Username", "Acme Ltd"},
			{"X-Consumer-Custom-Id", "c-17"},
			{"X-Request-Id", "r-1"},
		}},
		{"of a token that belongs to nobody in our books", changed(func(i *Identity) {
			i.ConsumerID, i.Credential, i.Groups, i.Scopes = "", "alice", []string{"staff", "a,b"}, []string{"a", "b"}
		}), []Field{
			{"X-Credential-Identifier", "alice"},
			{"X-Authenticated-Scope", "a b"},
			{"X-Consumer-Groups", "staff, a%2Cb"},
			{"X-Request-Id", "r-1"},
		}},
		{"nothing that does not apply", changed(func(i *Identity) {
			*i = Identity{Ref: i.Ref, ConsumerID: "plain", Consumer: &Consumer{ID: "plain"}}
		}), []Field{{"X-Consumer-Id", "plain"}, {"X-Request-Id", "r-1"}}},
		{"of a public route, that it is nobody", Route{Name: "open", Match: "/orders", Public: "for a test"}, []Field{
			{"X-Anonymous-Consumer", "true"},
			{"X-Request-Id", "r-1"},
		}},
		{"one line a value, whatever a token says", changed(func(i *Identity) {
			i.ConsumerID, i.Credential, i.Scopes = "", "a\r\nX-Role: admin", []string{"é", "b\nc"}
		}), []Field{
			{"X-Credential-Identifier", "a%0D%0AX-Role: admin"},
			{"X-Authenticated-Scope", "%C3%A9 b%0Ac"},
			{"X-Request-Id", "r-1"},
		}},
	} {
		t.Run(tc.why, func(t *testing.T) {
			d := answer(t, tc.route, requestID)
			if diff := cmp.Diff(tc.want, d.Set); diff != "" || !d.Allowed() {
				t.Errorf("%s (%v): %s", d.Reason, d.Err, diff)
			}
			for _, f := range d.Set {
				if http.CanonicalHeaderKey(f.Name) != f.Name || !IsIdentityHeader(f.Name) && f.Name != HeaderRequestID {
					t.Errorf("%s is not guarded against clients", f.Name)
				}
			}
		})
	}
}

// A scope is one word. One with a space in it, as a token's list may hold, must not read
// as two: what the route did not find the upstream must not find either.
func TestAScopeWithASpaceStaysOneScope(t *testing.T) {
	id := key(func(i *Identity) { i.Scopes = []string{"orders:read admin"} })
	if d := answer(t, demanding(Require{Scopes: []string{"admin"}}, says("k", Bearer, id, nil))); d.Reason != MissingScope {
		t.Fatalf("%s, want missing_scope", d.Reason)
	}
	for _, f := range answer(t, protected(says("k", Bearer, id, nil))).Set {
		if f.Name == HeaderScope && len(strings.Fields(f.Value)) != 1 {
			t.Errorf("%s: %q, in which an upstream finds two scopes", f.Name, f.Value)
		}
	}
}

func TestAScopeWithoutANameIsNoScope(t *testing.T) {
	id := key(func(i *Identity) { i.Scopes = []string{"a", ""} })
	for _, f := range answer(t, protected(says("k", Bearer, id, nil))).Set {
		if f.Name == HeaderScope && f.Value != "a" {
			t.Errorf("%s: %q, want a alone", f.Name, f.Value)
		}
	}
}
