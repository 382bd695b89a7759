package config_test

import (
	"errors"
	"testing"

	"github.com/stile-gate/stile/cmd/stile/config"
	"github.com/stile-gate/stile/policy"
)

const positions = `# a comment
listen:
  proxy: ":8080"
authenticators:
  k: { api_key: {} }
routes:
  - name: a
    match: GET /{x}/b
    authenticate:
      - k
    upstream: u
  - name: b
    match: GET /a/{x}
    public: why
    upstream: u
  - { name: c, match: "${PATTERN}",
      public: why, upstream: u }
upstreams:
  u: { targets: [ { url: "http://u" } ] }
`

func TestAt(t *testing.T) {
	c := mustParse(t, positions, "PATTERN=/c")
	for _, test := range []struct {
		path []any
		want int
	}{
		{nil, 2},
		{[]any{"listen"}, 2},
		{[]any{"listen", "proxy"}, 3},
		{[]any{"listen", "auth"}, 2},
		{[]any{"trust", 3}, 2},
		{[]any{"authenticators", "k", "api_key"}, 5},
		{[]any{"routes", 0}, 7},
		{[]any{"routes", 0, "authenticate", 0}, 10},
		{[]any{"routes", 0, "authenticate", 1}, 9},
		{[]any{"routes", 1, "upstream"}, 15},
		{[]any{"routes", 2, "public"}, 17},
		{[]any{"routes", 9}, 6},
		{[]any{"routes", "a"}, 7},
	} {
		if got := c.At(test.path...); got != test.want {
			t.Errorf("At(%v) = %d, want %d", test.path, got, test.want)
		}
	}
}

func TestProblem(t *testing.T) {
	c := mustParse(t, positions, "PATTERN=/c")
	got := c.Problem(c.At("routes", 1, "match"), "route %q: no", "b").Error()
	if want := `stile.yaml:13: route "b": no`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What policy.NewEngine finds is placed at the route's match.
func TestRouteProblem(t *testing.T) {
	for pattern, want := range map[string][]string{
		"/c": {`stile.yaml:13: route "b": "GET /a/{x}" overlaps "GET /{x}/b" of route "a" and neither is more specific: both match /a/b`},
		"hunter2": {
			`stile.yaml:13: route "b": "GET /a/{x}" overlaps "GET /{x}/b" of route "a" and neither is more specific: both match /a/b`,
			`stile.yaml:16: route "c": match "${PATTERN}" is no pattern, or overlaps another, once expanded`,
		},
		"GET /a/{y}": {
			`stile.yaml:13: route "b": "GET /a/{x}" overlaps "GET /{x}/b" of route "a" and neither is more specific: both match /a/b`,
			`stile.yaml:16: route "c": match "${PATTERN}" is no pattern, or overlaps another, once expanded`,
			`stile.yaml:16: route "c": match "${PATTERN}" is no pattern, or overlaps another, once expanded`,
		},
	} {
		c := mustParse(t, positions, "PATTERN="+pattern)
		var options policy.Options
		for _, r := range c.Routes {
			// Public, so that only patterns are judged.
			options.Routes = append(options.Routes, policy.Route{Name: r.Name, Match: r.Match, Public: "test"})
		}
		_, errs := policy.NewEngine(options)
		var problems config.Problems
		for _, err := range errs {
			problems = append(problems, c.RouteProblem(err))
		}
		problems.Sort()
		var got []string
		for _, p := range problems {
			got = append(got, p.Error())
		}
		if d := diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", pattern, d)
		}
	}
}

func TestRouteProblemOfNoRoute(t *testing.T) {
	c := mustParse(t, positions, "PATTERN=/c")
	if got, want := c.RouteProblem(errors.New("odd")).Error(), "stile.yaml:6: odd"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProblems(t *testing.T) {
	problems := config.Problems{
		{File: "b.yaml", Line: 2, Text: "y"},
		{File: "b.yaml", Line: 2, Text: "x", Warning: true},
		{File: "STILE_TRUST", Text: "z"},
	}
	problems.Sort()
	if got, want := problems.Error(), "STILE_TRUST: z\nb.yaml:2: warning: x\nb.yaml:2: y"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if problems.Err() == nil {
		t.Error("errors are no error")
	}
	if err := (config.Problems{{Warning: true}}).Err(); err != nil {
		t.Errorf("a warning is an error: %v", err)
	}
}
