package policy

import (
	"context"
	"net/http"
	"net/netip"
	"testing"
	"time"
)

// guesses is a throttle that notes what it hears.
type guesses struct {
	wait          time.Duration
	asked, failed []netip.Addr
}

func (g *guesses) Wait(ip netip.Addr) time.Duration {
	g.asked = append(g.asked, ip)
	return g.wait
}

func (g *guesses) Failed(ip netip.Addr) { g.failed = append(g.failed, ip) }

// throttledBy is answer with a throttle.
func throttledBy(t *testing.T, g *guesses, route Route, changes ...func(*Wire)) Decision {
	t.Helper()
	e := compiled(t, Options{Routes: []Route{route}, Throttle: g, Directory: books{consumers: map[string]*Consumer{"acme": acme}}})
	return e.Decide(context.Background(), overWire(append([]func(*Wire){requestTarget("/orders")}, changes...)...))
}

func TestBadCredentialsAloneAreCounted(t *testing.T) {
	bad := Refuse(BadCredential, "no such key")
	for _, tc := range []struct {
		why   string
		route Route
		want  int
	}{
		{"a bad one", protected(says("k", APIKey, nil, bad)), 1},
		{"a token that nobody knows", protected(says("k", Bearer, nil, ErrNotMine)), 1},
		{"one that is disabled", protected(says("k", APIKey, key(func(i *Identity) { i.Disabled = true }), nil)), 1},
		{"none", protected(says("k", APIKey, nil, ErrNoCredential)), 0},
		{"an expired one", protected(says("k", APIKey, key(func(i *Identity) { i.Expires = now }), nil)), 0},
		{"one that expired in the authenticator", protected(says("k", APIKey, nil, Refuse(Expired, "yesterday"))), 0},
		{"a malformed one", protected(says("k", APIKey, nil, Refuse(BadRequest, "twice"))), 0},
		{"a dead store", protected(says("k", APIKey, nil, context.DeadlineExceeded)), 0},
		{"a good one", protected(says("k", APIKey, key(), nil)), 0},
		{"a good one without the scope", demanding(Require{Scopes: []string{"x"}}, says("k", APIKey, key(), nil)), 0},
		{"a good one of another group", demanding(Require{Groups: []string{"x"}}, says("k", APIKey, key(), nil)), 0},
		{"a public route", Route{Name: "open", Match: "/orders", Public: "for a test"}, 0},
	} {
		g := &guesses{}
		throttledBy(t, g, tc.route)
		if len(g.failed) != tc.want {
			t.Errorf("%s is counted %d times, want %d", tc.why, len(g.failed), tc.want)
		}
	}
}

func TestWhoIsThrottledCausesNoLookUp(t *testing.T) {
	asked := 0
	counting := NamedAuthenticator{Name: "c", Scheme: APIKey, Authenticator: asking(func() (*Identity, error) { asked++; return key(), nil })}
	g := &guesses{wait: 2500 * time.Millisecond}
	d := throttledBy(t, g, protected(counting))
	wantRefused(t, d, RateLimited)
	h := http.Header{}
	d.RefusalHeaders(h)
	if asked > 0 || len(g.failed) > 0 || d.Step != "throttle" || h.Get("Retry-After") != "3" {
		t.Errorf("%d look-ups, %d failures, by %q, Retry-After %q", asked, len(g.failed), d.Step, h.Get("Retry-After"))
	}
	if len(h["Www-Authenticate"]) > 0 || len(d.LimitFields()) > 0 {
		t.Errorf("it asks for a credential, or tells of limits: %v", h)
	}
}

func TestAPublicRouteIsNeverThrottled(t *testing.T) {
	g := &guesses{wait: time.Hour}
	if d := throttledBy(t, g, Route{Name: "open", Match: "/orders", Public: "for a test"}); !d.Allowed() || len(g.asked) > 0 {
		t.Errorf("%s, asked %v", d.Reason, g.asked)
	}
}

func TestANetworkOfIPv6GuessesAsOne(t *testing.T) {
	bad := protected(says("k", APIKey, nil, Refuse(BadCredential, "no")))
	for ip, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8::1:2:3:4": "2001:db8::",
	} {
		g := &guesses{}
		throttledBy(t, g, bad, from(ip))
		if addr := netip.MustParseAddr(want); len(g.asked) != 1 || len(g.failed) != 1 || g.asked[0] != addr || g.failed[0] != addr {
			t.Errorf("%s is asked for as %v and counted as %v, want %s", ip, g.asked, g.failed, want)
		}
	}
}
