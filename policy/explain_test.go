package policy

import (
	"fmt"
	"strings"
	"testing"
)

// explained is Explain, with a panic as an error.
func explained(r *Request, d *Decision) (x Explanation, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("Explain panics: %v", p)
		}
	}()
	return Explain(r, d), nil
}

func TestAnExplanationStopsWhereTheDecisionDid(t *testing.T) {
	for _, tc := range []struct {
		step  string
		route Route
		raw   string
	}{
		{"admit", protected(says("k", APIKey, key(), nil)), "/.."},
		{"match", protected(says("k", APIKey, key(), nil)), "/elsewhere"},
		{"authenticate", protected(says("k", APIKey, nil, ErrNoCredential)), "/orders"},
		{"consumer", protected(says("k", APIKey, key(func(i *Identity) { i.ConsumerID = "gone" }), nil)), "/orders"},
		{"require", demanding(Require{Groups: []string{"staff"}}, says("k", APIKey, key(), nil)), "/orders"},
		{"", protected(says("k", APIKey, key(), nil)), "/orders"},
		{"", Route{Name: "open", Match: "/orders", Public: "for a test"}, "/orders"},
	} {
		d := answer(t, tc.route, requestTarget(tc.raw))
		x, err := explained(get(tc.raw), &d)
		if err != nil {
			t.Errorf("refused by %q: %v", d.Step, err)
			continue
		}
		if d.Step != tc.step || x.Reason != d.Reason.String() || x.Status != d.Reason.Status() {
			t.Errorf("refused by %q, as %s %d; want by %q, as %s", d.Step, x.Reason, x.Status, tc.step, d.Reason)
		}
		for i, s := range x.Steps {
			if last := i == len(x.Steps)-1; s.Detail == "" || s.Refused != (last && tc.step != "") || s.Refused && s.Step != tc.step {
				t.Errorf("%q: step %+v", tc.step, s)
			}
		}
		if len(x.Headers) != len(d.Set) {
			t.Errorf("headers %v, want %v", x.Headers, d.Set)
		}
	}
}

func TestAnExplanationNamesTheAuthenticatorsThatWereTried(t *testing.T) {
	d := answer(t, protected(says("first", Bearer, nil, ErrNoCredential), says("second", APIKey, key(), nil), says("third", APIKey, nil, nil)))
	x, err := explained(get("/orders"), &d)
	if err != nil {
		t.Fatal(err)
	}
	detail := x.Steps[3].Detail
	if !strings.Contains(detail, "first: nothing") || !strings.Contains(detail, "second: key \"k1\" is good") || strings.Contains(detail, "third") {
		t.Error(detail)
	}
}
