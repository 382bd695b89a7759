package parity

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

// call is one client request and the one decision about it. What is left out is GET
// http://app.test from 192.0.2.7.
type call struct {
	name                             string
	method, scheme, host, target, ip string
	fields                           []string // {name} stands for a credential

	want policy.Reason // OK when left out
	down bool          // want Unavailable, which is the zero Reason
	as   identity      // who the upstream hears of, when let in; nobody when left out
	path string        // the canonical path, where it is not target's
	// but says, by the name of a skin, or * for all, why HTTP itself keeps the case from
	// becoming a decision there. It must be refused all the same.
	but map[string]string
}

// identity is the headers that an upstream gets, but for X-Request-Id.
type identity map[string]string

var (
	nobody = identity{"X-Anonymous-Consumer": "true"}
	acme   = identity{
		"X-Consumer-Id": "acme", "X-Consumer-Username": "Acme%2C Ltd%20", "X-Consumer-Custom-Id": "crm-42", "X-Consumer-Groups": "partners, night shift",
		"X-Credential-Identifier": "k1", "X-Authenticated-Scope": "orders:read orders:list",
	}
	maria = identity{
		"X-Consumer-Id": "maria", "X-Consumer-Username": "Mar%C3%ADa", "X-Consumer-Groups": "staff, night shift",
		"X-Credential-Identifier": "maria@example.com", "X-Authenticated-Scope": "orders:write",
	}
)

// cases is the whole table.
func cases() []call {
	return slices.Concat(targetCases(), ambiguousTargetCases(), hostCases(), methodCases(), credentialCases(), headerCases(), limitCases())
}

func TestEverySkinDecidesAlike(t *testing.T) {
	e := engine(t)
	w := &witness{Decider: e}
	all := skins(t, w, servers.Upstream(t), e.Hidden())
	table, exceptions := cases(), 0
	for i, c := range table {
		c = c.complete(i)
		decided := map[string][]string{} // skins by what was decided of which question
		for _, s := range all {
			got := s.ask(t, c)
			decision := w.take()
			why := c.but[s.name] + c.but["*"]
			if why != "" {
				exceptions++
				if got.status == http.StatusOK || got.status < http.StatusBadRequest {
					t.Errorf("%s: %s: let in with %d, though %s", c.name, s.name, got.status, why)
				}
				if strings.HasPrefix(decision, c.want.String()) {
					t.Errorf("%s: %s decides it after all, so it is no exception: %s", c.name, s.name, decision)
				}
				continue
			}
			decided[decision] = append(decided[decision], s.name)
			c.check(t, s.name, got)
		}
		if len(decided) > 1 {
			t.Errorf("%s: the skins' questions were decided differently: %v", c.name, decided)
		}
	}
	t.Logf("%d cases through %d skins; %d times HTTP itself refused one before it was a decision", len(table), len(all), exceptions)
	if len(table) < 100 {
		t.Errorf("only %d cases", len(table))
	}
}

// complete fills in what a case left out.
func (c call) complete(i int) call {
	or := func(text *string, value string) {
		if *text == "" {
			*text = value
		}
	}
	if c.want == policy.Unavailable && !c.down {
		c.want = policy.OK
	}
	or(&c.method, "GET")
	or(&c.scheme, "http")
	or(&c.host, "app.test")
	or(&c.ip, "192.0.2.7")
	or(&c.name, strings.Join(append([]string{c.method + " " + c.scheme + "://" + c.host + c.target}, c.fields...), " + "))
	if len(c.name) > 100 {
		c.name = c.name[:100]
	}
	fill := func(text string) string {
		for name, value := range credentials {
			text = strings.ReplaceAll(text, "{"+name+"}", value)
		}
		return text
	}
	c.target = fill(c.target)
	c.fields = slices.Clone(c.fields)
	for j, f := range c.fields {
		c.fields[j] = fill(f)
	}
	if !slices.ContainsFunc(c.fields, func(f string) bool { return strings.HasPrefix(f, "X-Request-Id:") }) {
		c.fields = append(c.fields, fmt.Sprintf("X-Request-Id: case-%d", i))
	}
	return c
}

// check holds an answer against the case.
func (c call) check(t *testing.T, skin string, got answer) {
	t.Helper()
	if got.reason == "" && c.method == http.MethodHead && got.status == c.want.Status() {
		return // without a body, the status is all that the gateway says
	}
	if got.reason != c.want.String() {
		t.Errorf("%s: %s: %q (%d), want %s", c.name, skin, got.reason, got.status, c.want)
		return
	}
	status := c.want.Status()
	if strings.HasPrefix(skin, "nginx") && skin != "nginx-accel" && status != http.StatusOK && status != http.StatusUnauthorized {
		status = http.StatusForbidden
	}
	if got.status != status {
		t.Errorf("%s: %s: status %d, want %d", c.name, skin, got.status, status)
	}
	if c.want != policy.OK {
		return
	}
	want := maps.Clone(c.as)
	if want == nil {
		want = maps.Clone(nobody)
	}
	for _, f := range c.fields {
		if id, ok := strings.CutPrefix(f, "X-Request-Id: "); ok {
			want["X-Request-Id"] = id
		}
	}
	if id := got.identity["X-Request-Id"]; want["X-Request-Id"] == replaced && len(id) == 32 {
		want["X-Request-Id"] = id
	}
	if !maps.Equal(got.identity, want) {
		t.Errorf("%s: %s: the upstream hears %v, want %v", c.name, skin, got.identity, want)
	}
	if skin != gatewaySkin {
		return
	}
	path, _, _ := strings.Cut(got.target, "?")
	wantPath, _, _ := strings.Cut(c.target, "?")
	if c.path != "" {
		wantPath = c.path
	}
	if path != wantPath {
		t.Errorf("%s: the gateway's upstream gets %s, want %s", c.name, path, wantPath)
	}
}

// replaced is an X-Request-Id that is not kept: too long.
var replaced = strings.Repeat("r", 65)
