package policy

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tally is a meter that notes what it is asked for, and answers what a test says; without
// that, all is allowed.
type tally struct {
	asked   [][]Charge
	answers func([]Charge) ([]Balance, error)
}

func (m *tally) Spend(_ context.Context, charges []Charge) ([]Balance, error) {
	m.asked = append(m.asked, charges)
	if m.answers != nil {
		return m.answers(charges)
	}
	balances := make([]Balance, len(charges))
	for i, c := range charges {
		balances[i] = Balance{Limit: c.Limit, Allowed: true, Remaining: 9, Reset: time.Second}
	}
	return balances, nil
}

// limited is protected with limits.
func limited(limits []*Limit, methods ...NamedAuthenticator) Route {
	r := protected(methods...)
	r.Limits = limits
	return r
}

// metered is answer with a meter, and limits that a credential can have.
func metered(t *testing.T, m Meter, route Route, own []*Limit, changes ...func(*Wire)) Decision {
	t.Helper()
	e := compiled(t, Options{
		Routes: []Route{route}, Meter: m, Limits: own,
		Directory: books{consumers: map[string]*Consumer{"acme": acme, "gone": gone}},
	})
	return e.Decide(context.Background(), overWire(append([]func(*Wire){requestTarget("/orders")}, changes...)...))
}

func from(ip string) func(*Wire) { return func(w *Wire) { w.ClientIP = netip.MustParseAddr(ip) } }

// charged is what one request is charged, of which each charge is told by its parts.
func charged(t *testing.T, limits []*Limit, identity *Identity, changes ...func(*Wire)) []string {
	t.Helper()
	m := &tally{}
	if d := metered(t, m, limited(limits, says("k", APIKey, identity, nil)), nil, changes...); !d.Allowed() {
		t.Fatalf("%s: %v", d.Reason, d.Err)
	}
	var told []string
	for _, c := range m.asked[0] {
		told = append(told, c.Limit.Name+" "+c.Slot+" "+c.Counter)
	}
	return told
}

func TestWhatARequestIsCharged(t *testing.T) {
	m := &tally{}
	route := limited([]*Limit{
		perMinute("consumer"), perMinute("ip", per(PerIP)), perMinute("monthly", quota(5, Month, 1)), perMinute("route", per(PerRoute)),
	}, says("k", APIKey, key(func(i *Identity) { i.Limits = []string{"own", "monthly"} }), nil))
	route.Cost = 3
	own := []*Limit{perMinute("own", per(PerKey)), perMinute("monthly", quota(5, Month, 1)), perMinute("of others")}
	d := metered(t, m, route, own)
	if !d.Allowed() || len(m.asked) != 1 {
		t.Fatalf("%s, %v; asked %d times", d.Reason, d.Err, len(m.asked))
	}
	var got []string
	for _, c := range m.asked[0] {
		got = append(got, c.Limit.Name+" "+c.Slot)
		if c.Cost != 3 {
			t.Errorf("%s costs %d", c.Limit.Name, c.Cost)
		}
	}
	want := []string{"ip ip:192.0.2.7", "route r:orders", "consumer c:acme", "monthly c:acme", "own c:acme"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(d.Balances) != len(want) {
		t.Errorf("%d balances", len(d.Balances))
	}
}

func TestCostIsOneWhereNothingIsSaid(t *testing.T) {
	m := &tally{}
	metered(t, m, limited([]*Limit{perMinute("a")}, says("k", APIKey, key(), nil)), nil)
	if cost := m.asked[0][0].Cost; cost != 1 {
		t.Errorf("cost %d", cost)
	}
}

// Who is nobody in our books is counted by what was proved, in any letters.
func TestCountersAreApart(t *testing.T) {
	tenant := func(claims map[string]any) *Identity {
		return key(func(i *Identity) { i.Claims = claims })
	}
	named := func(kind, id string) *Identity { return &Identity{Ref: Ref{kind, id}, Credential: "x"} }
	consumer, byKey := perMinute("l"), perMinute("l", per(PerKey))
	byClaim := perMinute("l", perClaim(t, "a"))
	seen := map[string]string{}
	for why, told := range map[string][]string{
		"acme":                        charged(t, []*Limit{consumer}, key()),
		"nobody, jwt|a":               charged(t, []*Limit{consumer}, named("jwt", "a")),
		"nobody, jwt|a again":         charged(t, []*Limit{consumer}, named("jwt", "a:")),
		"nobody, another kind":        charged(t, []*Limit{consumer}, named("jwta", "")),
		"nobody, separator in the id": charged(t, []*Limit{consumer}, named("jwt", "a|c:acme")),
		"nobody who is named acme":    charged(t, []*Limit{consumer}, named("c", "acme")),
		"acme's k1":                   charged(t, []*Limit{byKey}, key()),
		"acme's k2":                   charged(t, []*Limit{byKey}, key(func(i *Identity) { i.ID = "k2" })),
		"a claim":                     charged(t, []*Limit{byClaim}, tenant(map[string]any{"a": "x"})),
		"a claim of two texts":        charged(t, []*Limit{byClaim}, tenant(map[string]any{"a": []any{"x", "y"}})),
		"a claim of one such text":    charged(t, []*Limit{byClaim}, tenant(map[string]any{"a": `["x","y"]`})),
		"an empty claim":              charged(t, []*Limit{byClaim}, tenant(map[string]any{"a": ""})),
		"no claim":                    charged(t, []*Limit{byClaim}, tenant(nil)),
	} {
		if other, ok := seen[told[0]]; ok {
			t.Errorf("%s and %s share the counter %q", why, other, told[0])
		}
		seen[told[0]] = why
		if strings.ContainsAny(told[0], "|[\",") {
			t.Errorf("%s: a stranger's text stands in %q", why, told[0])
		}
	}
}

func TestCountersThatAreOne(t *testing.T) {
	byKey, byIP := []*Limit{perMinute("l", per(PerKey))}, []*Limit{perMinute("l", per(PerIP))}
	next := key(func(i *Identity) { i.ID, i.Lineage = "k2", "k1" })
	for why, pair := range map[string][2][]string{
		"a key and the one that replaces it": {charged(t, byKey, key()), charged(t, byKey, next)},
		"addresses of one /64":               {charged(t, byIP, key(), from("2001:db8::1")), charged(t, byIP, key(), from("2001:db8::ffff:1"))},
		"IPv4, mapped":                       {charged(t, byIP, key(), from("192.0.2.7")), charged(t, byIP, key(), from("::ffff:192.0.2.7"))},
	} {
		if !slices.Equal(pair[0], pair[1]) {
			t.Errorf("%s: %v and %v", why, pair[0], pair[1])
		}
	}
	for why, pair := range map[string][2]string{
		"addresses of two /64":   {"2001:db8::1", "2001:db8:0:1::1"},
		"two addresses of IPv4":  {"192.0.2.7", "192.0.2.8"},
		"mapped and not":         {"::ffff:192.0.2.7", "::192.0.2.7"},
		"two of IPv4, as mapped": {"::ffff:192.0.2.7", "::ffff:192.0.2.8"},
	} {
		if a, b := charged(t, byIP, key(), from(pair[0])), charged(t, byIP, key(), from(pair[1])); slices.Equal(a, b) {
			t.Errorf("%s share %v", why, a)
		}
	}
}

func TestWhoIsRefusedEarlierPaysNothing(t *testing.T) {
	limits := []*Limit{perMinute("a"), perMinute("b", per(PerIP))}
	scoped := limited(limits, says("k", APIKey, key(), nil))
	scoped.Require.Scopes = []string{"orders:write"}
	grouped := limited(limits, says("k", APIKey, key(), nil))
	grouped.Require.Groups = []string{"staff"}
	for want, route := range map[Reason]Route{
		MissingScope:  scoped,
		Forbidden:     grouped,
		BadCredential: limited(limits, says("k", APIKey, nil, Refuse(BadCredential, "no"))),
		NoCredential:  limited(limits, says("k", APIKey, nil, ErrNoCredential)),
		Expired:       limited(limits, says("k", APIKey, key(func(i *Identity) { i.Expires = now }), nil)),
		Unavailable:   limited(limits, says("k", APIKey, nil, errors.New("down"))),
	} {
		m := &tally{}
		d := metered(t, m, route, nil)
		wantRefused(t, d, want)
		if len(m.asked) > 0 || d.Balances != nil {
			t.Errorf("%s was charged", want)
		}
	}
}

func TestWhatIsBeyondALimitIsRefused(t *testing.T) {
	fast, monthly := perMinute("fast"), perMinute("monthly", quota(5, Month, 1))
	for _, tc := range []struct {
		why      string
		balances []Balance
		want     Reason
		after    string
	}{
		{"a rate", []Balance{{Limit: fast, RetryAfter: 1500 * time.Millisecond}, {Limit: monthly, Allowed: true}}, RateLimited, "2"},
		{"a quota", []Balance{{Limit: fast, Allowed: true}, {Limit: monthly, RetryAfter: time.Hour}}, QuotaExceeded, "3600"},
		{"both, and the longer counts", []Balance{{Limit: fast, RetryAfter: time.Second}, {Limit: monthly, RetryAfter: time.Minute}}, QuotaExceeded, "60"},
		{"both, the other way round", []Balance{{Limit: fast, RetryAfter: time.Minute}, {Limit: monthly, RetryAfter: time.Second}}, RateLimited, "60"},
		{"the first slot, so that others were not asked", []Balance{{Limit: fast, RetryAfter: time.Second}}, RateLimited, "1"},
		{"at once again", []Balance{{Limit: fast}, {Limit: monthly, Allowed: true}}, RateLimited, "1"},
	} {
		m := &tally{answers: func([]Charge) ([]Balance, error) { return tc.balances, nil }}
		d := metered(t, m, limited([]*Limit{fast, monthly}, says("k", APIKey, key(), nil)), nil)
		wantRefused(t, d, tc.want)
		h := http.Header{}
		d.RefusalHeaders(h)
		if got := h.Get("Retry-After"); got != tc.after || h.Get(HeaderRateLimit) == "" || d.Reason.Status() != http.StatusTooManyRequests {
			t.Errorf("%s: Retry-After %q, RateLimit %q, want %s", tc.why, got, h.Get(HeaderRateLimit), tc.after)
		}
	}
}

func TestAMeterThatCannotKnowLetsNobodyIn(t *testing.T) {
	l := perMinute("l")
	for why, answers := range map[string]func([]Charge) ([]Balance, error){
		"an error":                   func([]Charge) ([]Balance, error) { return nil, errors.New("down") },
		"an error beside an answer":  func([]Charge) ([]Balance, error) { return []Balance{{Limit: l, Allowed: true}}, errors.New("down") },
		"an error, though it is off": func([]Charge) ([]Balance, error) { return []Balance{{Limit: l}}, errors.New("down") },
		"nothing":                    func([]Charge) ([]Balance, error) { return nil, nil },
		"too few": func(c []Charge) ([]Balance, error) {
			return []Balance{{Limit: l, Allowed: true}}[:len(c)-1], nil
		},
		"too many": func([]Charge) ([]Balance, error) {
			return []Balance{{Limit: l, Allowed: true}, {Limit: l, Allowed: true}}, nil
		},
	} {
		d := metered(t, &tally{answers: answers}, limited([]*Limit{l}, says("k", APIKey, key(), nil)), nil)
		wantRefused(t, d, Unavailable)
		if d.Balances != nil || len(d.LimitFields()) > 0 {
			t.Errorf("%s: it tells of balances", why)
		}
	}
	d := metered(t, nil, limited([]*Limit{l}, says("k", APIKey, key(), nil)), nil)
	wantRefused(t, d, Unavailable)
}

func TestLimitsOfACredential(t *testing.T) {
	has := func(names ...string) NamedAuthenticator {
		return says("k", APIKey, key(func(i *Identity) { i.Limits = names }), nil)
	}
	own := []*Limit{perMinute("own"), perMinute("small", rate(1, time.Second, 2))}
	d := metered(t, &tally{}, limited(nil, has("gone")), own)
	wantRefused(t, d, Unavailable)
	wantError(t, d.Err, `"gone"`)

	m := &tally{}
	if d := metered(t, m, limited(nil, has("own", "own")), own); !d.Allowed() || len(m.asked[0]) != 1 {
		t.Errorf("twice the same: %s, charged %v", d.Reason, m.asked)
	}

	m, dear := &tally{}, limited([]*Limit{perMinute("l")}, has("small"))
	dear.Cost = 3
	d = metered(t, m, dear, own)
	wantRefused(t, d, Forbidden) // no waiting would help
	if len(m.asked) > 0 {
		t.Error("and it was charged")
	}
}

func TestALimitOnNobodyIsFree(t *testing.T) {
	m := &tally{}
	if d := metered(t, m, protected(says("k", APIKey, key(), nil)), nil); !d.Allowed() || len(m.asked) > 0 || d.LimitFields() != nil {
		t.Errorf("%s, asked %d times, says %v", d.Reason, len(m.asked), d.LimitFields())
	}
}

func TestLimitsThatRoutesCannotHave(t *testing.T) {
	public := func(limits ...*Limit) Route {
		return Route{Name: "open", Match: "/", Public: "for a test", Limits: limits}
	}
	dear := limited([]*Limit{perMinute("l")}, says("k", APIKey, key(), nil))
	dear.Cost = 11
	monthly := limited([]*Limit{perMinute("l", quota(10, Month, 1))}, says("k", APIKey, key(), nil))
	monthly.Cost = 11
	negative := dear
	negative.Cost = -1
	idle := protected(says("k", APIKey, key(), nil))
	idle.Cost = 2
	for says, route := range map[string]Route{
		"a public route knows nobody": public(perMinute("l")),
		"per ip or per route alone":   public(perMinute("a", per(PerIP)), perMinute("l", per(PerKey))),
		"more than one of the limits": dear,
		"ever allows":                 monthly,
		"at least 1":                  negative,
		"goes with a limit":           idle,
	} {
		_, errs := NewEngine(Options{Routes: []Route{route}})
		if len(errs) != 1 {
			t.Fatalf("%s: %v", says, errs)
		}
		wantError(t, errs[0], says)
	}
	m := &tally{}
	e := compiled(t, Options{Routes: []Route{public(perMinute("a", per(PerIP)), perMinute("b", per(PerRoute)))}, Meter: m})
	if reason, _ := decide(e, get("/")); reason != OK || len(m.asked[0]) != 2 {
		t.Errorf("%s, charged %v", reason, m.asked)
	}
}

func TestDryDecidesAlikeAndLeavesNoTrace(t *testing.T) {
	live, peek, attempts := &tally{}, &tally{}, &guesses{wait: time.Minute}
	e := compiled(t, Options{
		Routes: []Route{limited([]*Limit{perMinute("l")}, says("k", APIKey, key(), nil))}, Meter: live, Throttle: attempts,
		Directory: books{consumers: map[string]*Consumer{"acme": acme}},
	})
	r := get("/orders")
	d := e.Dry(peek).Decide(context.Background(), r)
	if !d.Allowed() || len(live.asked) > 0 || len(peek.asked) != 1 || len(attempts.asked)+len(attempts.failed) > 0 {
		t.Errorf("%s; live %d, peek %d, %+v", d.Reason, len(live.asked), len(peek.asked), attempts)
	}
	if x := Explain(r, &d); !strings.Contains(x.Steps[6].Detail, "l: 9 left") {
		t.Errorf("explained as %q", x.Steps[6].Detail)
	}
	if d := e.Decide(context.Background(), r); d.Reason != RateLimited || d.Step != "throttle" {
		t.Errorf("the engine itself: %s by %q", d.Reason, d.Step)
	}
	peek.answers = func(c []Charge) ([]Balance, error) {
		return []Balance{{Limit: c[0].Limit, RetryAfter: 90 * time.Second, Reset: 2 * time.Minute}}, nil
	}
	d = e.Dry(peek).Decide(context.Background(), r)
	if x := Explain(r, &d); x.Status != 429 || !strings.Contains(x.Steps[6].Detail, "for 90s; l: 0 left") {
		t.Errorf("refused: %+v", x.Steps)
	}
}
