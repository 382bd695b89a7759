package policy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestAPatternIsRead(t *testing.T) {
	for _, text := range []string{
		"/", "/{$}", "/a", "/a/", "/a/{$}", "/{x}", "/{x...}", "/a/{x}/b", "/a/{x}/{y...}", "/{x}/{y}/{$}",
		"GET /", "POST /a", "PROPFIND /a", "GET  /a", "GET \t/a", "BASELINE-CONTROL /a",
		"a.com/", "GET api.example.com/v1/orders/{path...}", "*.example.com/", "GET *.a.b.c/x", "localhost/", "192.0.2.1/", "[::1]/", "orders_v1/",
		"/{_}", "/{a1}", "/{A_b}", "/a-b.c_d~e", "/a@b:c,d", "/caf%C3%A9", "/a%20b",
	} {
		if p, err := parsePattern(text); err != nil || p.text != text {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAPatternDoesNotLoad(t *testing.T) {
	for _, tc := range []struct {
		why, says string
		texts     []string
	}{
		{"without a path", "no path", []string{"", "GET", "a.com", "GET a.com", "*"}},
		{"with a method that is none", "is not a method", []string{"/a b", "get /", "Get /", " /", "G@T /", "GET,POST /", "(GET) /"}},
		{"with a method that is refused anyway", "refused", []string{"TRACE /", "CONNECT /", "CONNECT a.com/"}},
		{"with a host in another form than requests have it", "write the host as", []string{"A.com/", "*.Example.com/", "[::0001]/"}},
		{"with a host's port", "port", []string{"a.com:80/", "GET a.com:8443/x", "[::1]:80/", "*.a.com:80/"}},
		{"with a host that is none", "host", []string{"a..com/", "a.com./", "*/", "*./", "*a.com/", "a.*.com/", "*.*.com/", "u@a.com/", "{h}/", "a%20b/", "::1/", "127.1/"}},
		{"with a space in its path", "can match nothing", []string{"GET /a b", "GET /a/ "}},
		{"with an empty segment", "can match nothing", []string{"//", "//a", "/a//b", "/a//"}},
		{"with a dot segment", "can match nothing", []string{"/.", "/../a", "/a/./b", "/%2e", "/a/%2e%2E/b"}},
		{"with bytes that no path has", "can match nothing", []string{"/a#b", "/a\\b", "/é", "/a\x00", "/a%00", "/%5C", "/%zz", "/%", "/%ff", "/a?b=c"}},
		{"with an escape in another form than requests have it", "write path segment", []string{"/%61", "/a%7Eb", "/caf%c3%a9", "/a%2fb"}},
		{"with half a wildcard", "whole segment", []string{"/a{x}", "/{x}a", "/{x", "/x}", "/{{x}}a", "/}{"}},
		{"with a wildcard of no name", "no valid name", []string{"/{}", "/{...}", "/{1}", "/{a-b}", "/{é}", "/{x}{y}", "/{{x}}", "/{x..}", "/{x.y}", "/{*}", "/{$...}"}},
		{"with a rest that is not last", "must be last", []string{"/{x...}/a", "/{x...}/", "/a/{x...}/{y}"}},
		{"with an end that is not last", "must be last", []string{"/{$}/a", "/{$}/", "/{$}/{x}"}},
		{"with one name twice", "two wildcards", []string{"/{x}/{x}", "/{x}/a/{x...}"}},
	} {
		t.Run(tc.why, func(t *testing.T) {
			for _, text := range tc.texts {
				_, err := parsePattern(text)
				if err == nil {
					t.Errorf("%q loads", text)
					continue
				}
				wantError(t, err, tc.says)
			}
		})
	}
}

// What an error says to write instead is another spelling, not another path.
func TestAnErrorGivesNoWrongAdvice(t *testing.T) {
	for _, text := range []string{"/a?", "/?", "/a?/b"} {
		if _, err := parsePattern(text); err == nil || strings.Contains(err.Error(), "write path segment") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAPatternWithEscapesThatItsRouteRefusesDoesNotLoad(t *testing.T) {
	for text, needs := range map[string]Encoded{
		"/a%2Fb": EncodedSlash, "/100%25": EncodedPercent, "/a;b": EncodedSemicolon, "/a%3Bb": EncodedSemicolon,
		"/what%3F": EncodedQuestion, "/c%23": EncodedHash, "/a%2Fb/{x}/c%23": EncodedSlash | EncodedHash,
	} {
		if _, errs := NewEngine(Options{Routes: []Route{opting(text, everyEscape&^needs)}}); len(errs) != 1 {
			t.Errorf("%q without [%s]: %v", text, needs, errs)
		} else {
			wantError(t, errs[0], "encoded: ["+needs.String()+"]")
		}
		e := compiled(t, Options{Routes: []Route{opting(text, needs)}})
		if reason, _ := decide(e, get(strings.ReplaceAll(text, "{x}", "y"))); reason != OK {
			t.Errorf("%q with [%s] does not match itself: %s", text, needs, reason)
		}
	}
}

func TestOnePatternLiesToAnother(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want relation
	}{
		{"/", "/", same},
		{"/{x}", "/{y}", same},
		{"/a/", "/a/{x...}", same},
		{"/{x...}", "/", same},
		{"GET /a", "GET /a", same},
		{"/a", "/{x}", narrower},
		{"/a", "/", narrower},
		{"/a/{$}", "/a/", narrower},
		{"/{x}", "/", narrower},
		{"/a/b", "/a/{x...}", narrower},
		{"/a/{x}", "/{y}/{x}", narrower},
		{"GET /a", "/a", narrower},
		{"HEAD /a", "GET /a", narrower},
		{"HEAD /a", "/a", narrower},
		{"GET /a", "/{x}", narrower},
		{"/a/{x}", "/{x}/b", overlapping},
		{"/a/{x...}", "/{x}/b", overlapping},
		{"/{x}/{$}", "/a/", overlapping},
		{"GET /{x}", "/a", overlapping},
		{"GET /a", "HEAD /{x}", overlapping},
		{"/{x}/b/{y...}", "/a/{x...}", overlapping},
		{"/a", "/b", disjoint},
		{"/a", "/a/", disjoint},
		{"/a", "/a/{$}", disjoint},
		{"/a", "/a/{x...}", disjoint},
		{"/{x}", "/{$}", disjoint},
		{"/{x}", "/a/b", disjoint},
		{"/{x}/a", "/{x}/b", disjoint},
		{"GET /a", "POST /a", disjoint},
		{"HEAD /a", "POST /", disjoint},
	} {
		a, errA := parsePattern(tc.a)
		b, errB := parsePattern(tc.b)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		back := tc.want
		if back == narrower {
			back = wider
		}
		if got, gotBack := a.compare(b), b.compare(a); got != tc.want || gotBack != back {
			t.Errorf("%q to %q is %d, and %d the other way; want %d and %d", tc.a, tc.b, got, gotBack, tc.want, back)
		}
	}
}

// FuzzPattern holds our reading of a pattern against that of http.ServeMux: what we take,
// it takes, and what we take matches something.
func FuzzPattern(f *testing.F) {
	for _, text := range []string{
		"/", "GET /a", "a.com/{x}", "GET a.com/a/{x...}", "/{$}", "/a b", "*.a.com/", "//", "/{x", "/%2e", "/%C3%A9", "/a%2Fb", "/a?", "/{}/{x...}/",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := opting(text, everyEscape)
		e, errs := NewEngine(Options{Routes: []Route{r}})
		if len(errs) > 0 {
			return
		}
		p := e.all[0].pattern
		if !strings.HasPrefix(p.host, "*.") {
			if err := serveMuxTakes(text); err != nil {
				t.Errorf("%q loads, though %v", text, err)
			}
		}
		r2 := overWire(method(methodOf(p)), host(strings.Replace(hostOf(p), "*.", "sub.", 1)), requestTarget(p.example(p)))
		if found := e.routes.match(r2.Method, r2.Host, r2.Path); found == nil {
			t.Errorf("%q loads and does not match %s %s%s", text, r2.Method, r2.Host, p.example(p))
		}
	})
}

// serveMuxTakes registers patterns with http.ServeMux and returns what it panics with.
func serveMuxTakes(patterns ...string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("http.ServeMux: %v", p)
		}
	}()
	mux := http.NewServeMux()
	for _, p := range patterns {
		mux.Handle(p, http.NotFoundHandler())
	}
	return nil
}

// methodOf and hostOf make up what a pattern leaves open.
func methodOf(p pattern) string {
	if p.method == "" {
		return http.MethodGet
	}
	return p.method
}

func hostOf(p pattern) string {
	if p.host == "" {
		return "any.example"
	}
	return p.host
}
