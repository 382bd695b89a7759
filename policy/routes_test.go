package policy

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTheMostSpecificRouteWins(t *testing.T) {
	e := compiled(t, Options{Routes: open(
		"/{rest...}", "/a", "/a/", "/a/{$}", "/a/{x}", "/a/b", "/a/b/{x...}", "GET /a/b", "HEAD /a/b", "d.org/{rest...}", "PURGE d.org/{rest...}", "POST d.org/only",
		"a.com/", "GET a.com/{x}", "*.com/", "*.b.com/", "x.b.com/only",
	)})
	for _, tc := range []struct{ request, want string }{
		{"GET z.org/", "/{rest...}"},
		{"GET z.org/zz/y", "/{rest...}"},
		{"GET z.org/a", "/a"},
		{"GET z.org/a/", "/a/{$}"},
		{"GET z.org/a/x", "/a/{x}"},
		{"GET z.org/a/x/y", "/a/"},
		{"GET z.org/a/b", "GET /a/b"},
		{"HEAD z.org/a/b", "HEAD /a/b"},
		{"PUT z.org/a/b", "/a/b"},
		{"GET z.org/a/b/", "/a/b/{x...}"},
		{"GET z.org/a/b/c/d", "/a/b/{x...}"},
		{"PURGE d.org/zz", "PURGE d.org/{rest...}"},
		{"POST d.org/zz", "d.org/{rest...}"},
		{"POST d.org/only", "POST d.org/only"},
		{"PUT d.org/only", "d.org/{rest...}"},
		{"PURGE z.org/a", "/a"}, // known to one route, so known
		{"GET a.com/x", "GET a.com/{x}"},
		{"HEAD a.com/x", "GET a.com/{x}"}, // HEAD follows GET
		{"PUT a.com/x", "a.com/"},
		{"GET b.com/a", "*.com/"},
		{"GET x.com/a", "*.com/"},
		{"GET y.b.com/a", "*.b.com/"},
		{"GET y.x.b.com/a", "*.b.com/"},
		{"GET x.b.com/only", "x.b.com/only"},
		{"GET x.b.com/other", "*.b.com/"}, // the host's own routes come first, but are not alone
	} {
		m, rest, _ := strings.Cut(tc.request, " ")
		i := strings.IndexByte(rest, '/')
		if reason, route := decide(e, overWire(method(m), host(rest[:i]), requestTarget(rest[i:]))); reason != OK || route != tc.want {
			t.Errorf("%s is %s by %q, want %q", tc.request, reason, route, tc.want)
		}
	}
}

func TestWhatNoRouteMatches(t *testing.T) {
	e := compiled(t, Options{Routes: open("/a/{x}", "/a/b/{$}", "GET /get", "HEAD /head", "/case", "a.com/host", "*.b.com/sub", "/dir/")})
	for _, request := range []string{
		"GET z.org/", "GET z.org/a", "GET z.org/a/", "GET z.org/a/x/", "GET z.org/a/b/c", "POST z.org/get", "GET z.org/head", "GET z.org/Case",
		"GET z.org/host", "GET x.a.com/host", "GET b.com/sub", "GET xb.com/sub", "GET b.com.evil.org/sub",
		"GET z.org/dir", // no redirect: /dir is not /dir/
		"OPTIONS z.org/get",
	} {
		m, rest, _ := strings.Cut(request, " ")
		i := strings.IndexByte(rest, '/')
		if reason, route := decide(e, overWire(method(m), host(rest[:i]), requestTarget(rest[i:]))); reason != NoRoute || route != "" {
			t.Errorf("%s is %s by %q, want no_route", request, reason, route)
		}
	}
}

func TestOverlapsAreReportedWithAPathThatBothMatch(t *testing.T) {
	for _, tc := range []struct{ a, b, path string }{
		{"/a/{x}", "/{x}/b", "/a/b"},
		{"/a/{x...}", "/{x}/b", "/a/b"},
		{"/{x}/{$}", "/a/", "/a/"},
		{"/{x}/b/{y...}", "/a/{x...}", "/a/b/x"},
		{"/{x}", "/{y}", "/x"},
		{"/", "/{x...}", "/x"},
		{"/a", "/a", "/a"},
		{"/{$}", "/{$}", "/"},
		{"GET /{x}", "/a", "/a"},
		{"HEAD /{x}", "GET /a", "/a"},
		{"a.com/{x}/b", "a.com/a/{x}", "/a/b"},
		{"*.a.com/{x}/b", "*.a.com/a/{x}", "/a/b"},
		{"/{a}/{b}/{c...}", "/{a...}", ""},
		{"/a/{x}", "b.com/{x}/b", ""},
		{"GET /a/{x}", "POST /{x}/b", ""},
		{"*.a.com/{x}/b", "x.a.com/a/{x}", ""},
		{"*.a.com/{x}/b", "*.x.a.com/a/{x}", ""},
	} {
		for _, pair := range [][2]string{{tc.a, tc.b}, {tc.b, tc.a}} {
			_, errs := NewEngine(Options{Routes: open(pair[0], pair[1])})
			if tc.path == "" {
				if len(errs) > 0 {
					t.Errorf("%q: %v", pair, errs)
				}
				continue
			}
			if len(errs) != 1 {
				t.Errorf("%q: %v, want one error", pair, errs)
				continue
			}
			wantError(t, errs[0], "both match "+tc.path)
			checkExample(t, errs[0])
		}
	}
}

var overlapError = regexp.MustCompile(`^route "(.*)": ".*" overlaps "(.*)" of route ".*" and neither is more specific: both match (/.*)$`)

// checkExample compiles the two routes of an overlap, each alone, and looks whether it
// matches the path that the error names. Routes are called by their pattern.
func checkExample(t reporter, err error) {
	t.Helper()
	var re *RouteError
	parts := overlapError.FindStringSubmatch(err.Error())
	if !errors.As(err, &re) || parts == nil || re.Route != parts[1] {
		t.Fatalf("%v: not of the form of an overlap", err)
	}
	var pair [2]pattern
	for i, text := range parts[1:3] {
		pair[i], _ = parsePattern(text)
	}
	m := methodOf(pair[0])
	if m == "GET" {
		m = methodOf(pair[1]) // the narrower
	}
	for _, p := range pair {
		alone, errs := NewEngine(Options{Routes: []Route{opting(p.text, everyEscape)}})
		h := strings.Replace(hostOf(p), "*.", "sub.", 1)
		if len(errs) > 0 || alone.routes.match(m, h, parts[3]) == nil {
			t.Fatalf("%v: but %q does not match %s %s%s", err, p.text, m, h, parts[3])
		}
	}
}

func TestEveryRouteThatOverlapsIsReported(t *testing.T) {
	_, errs := NewEngine(Options{Routes: open("/a/{x}", "/{x}/b", "/{y}/b", "/fine", "GET /{z}/b")})
	var named []string
	for _, err := range errs {
		named = append(named, overlapError.FindStringSubmatch(err.Error())[1:3]...)
	}
	for _, want := range []string{"/a/{x}", "/{x}/b", "/{y}/b", "GET /{z}/b"} {
		if !slices.Contains(named, want) {
			t.Errorf("%q is not named in %v", want, errs)
		}
	}
	if slices.Contains(named, "/fine") {
		t.Errorf("/fine is named in %v", errs)
	}
}

// Below, http.ServeMux is the oracle.

var (
	oracleHosts   = []string{"", "", "a.com", "b.com"}
	oracleMethods = []string{"", "", "GET", "HEAD", "POST"}
	oraclePieces  = []string{"a", "b", "aa", "{}", "{}", "%20", "%C3%A9"}
	oracleEnds    = []string{"", "", "", "/", "/{$}", "/{...}"}
)

func drawPattern(t *rapid.T) string {
	var b strings.Builder
	if m := rapid.SampledFrom(oracleMethods).Draw(t, "method"); m != "" {
		b.WriteString(m + " ")
	}
	b.WriteString(rapid.SampledFrom(oracleHosts).Draw(t, "host"))
	n := rapid.IntRange(0, 3).Draw(t, "segments")
	for i := range n {
		piece := rapid.SampledFrom(oraclePieces).Draw(t, "segment")
		b.WriteString("/" + strings.Replace(piece, "{}", fmt.Sprintf("{w%d}", i), 1))
	}
	end := rapid.SampledFrom(oracleEnds).Draw(t, "end")
	if n == 0 && end == "" {
		end = "/"
	}
	b.WriteString(strings.Replace(end, "{...}", "{rest...}", 1))
	return b.String()
}

func TestOverlapsAreThoseOfServeMux(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		patterns := rapid.SliceOfN(rapid.Custom(drawPattern), 2, 8).Draw(t, "patterns")
		_, errs := NewEngine(Options{Routes: open(patterns...)})
		if oracle := serveMuxTakes(patterns...); (oracle != nil) != (len(errs) > 0) {
			t.Fatalf("we say %v; oracle: %v", errs, oracle)
		}
		reported := map[string]bool{}
		for _, err := range errs {
			checkExample(t, err)
			parts := overlapError.FindStringSubmatch(err.Error())
			if serveMuxTakes(parts[1], parts[2]) == nil {
				t.Fatalf("%v; but http.ServeMux takes the two", err)
			}
			reported[parts[1]] = true
		}
		for i, later := range patterns {
			for _, earlier := range patterns[:i] {
				if serveMuxTakes(earlier, later) != nil && !reported[later] {
					t.Fatalf("%q overlaps %q, and no error is about it: %v", later, earlier, errs)
				}
			}
		}
	})
}

// Many upstreams make no difference between /data/key and /data/key/. Where a narrower
// route has the one, a wider one does not get the other.
func TestALastSlashIsNoWayAroundANarrowerRoute(t *testing.T) {
	e := compiled(t, Options{Routes: open(
		"/", "/data/", "/data/key", "/v1/", "/v1/admin/", "/files/{name}", "/files/secret/{$}", "POST /data/posted",
		"/orders", "/orders/", "a.com/host/", "/host/only", "/x/{a}/fixed",
	)})
	for _, tc := range []struct {
		request string
		want    Reason
		route   string
	}{
		{"GET z.org/data/key", OK, "/data/key"},
		{"GET z.org/data/key/", BadRequest, "/data/"},
		{"GET z.org/data/key/x", OK, "/data/"},
		{"GET z.org/v1/admin", BadRequest, "/v1/"},
		{"GET z.org/v1/admin/", OK, "/v1/admin/"},
		{"GET z.org/files/secret", BadRequest, "/files/{name}"},
		{"GET z.org/files/other", OK, "/files/{name}"},
		{"GET z.org/files/other/", BadRequest, "/"},
		{"GET z.org/data/posted/", OK, "/data/"}, // the narrower one has another method
		{"POST z.org/data/posted/", BadRequest, "/data/"},
		{"GET z.org/orders", OK, "/orders"}, // both are said
		{"GET z.org/orders/", OK, "/orders/"},
		{"GET z.org/orders/1", OK, "/orders/"},
		{"GET z.org/", OK, "/"},
		{"GET z.org/x/y/fixed/", BadRequest, "/"},
		{"GET z.org/v1", BadRequest, "/"},
	} {
		m, rest, _ := strings.Cut(tc.request, " ")
		i := strings.IndexByte(rest, '/')
		if reason, route := decide(e, overWire(method(m), host(rest[:i]), requestTarget(rest[i:]))); reason != tc.want || route != tc.route {
			t.Errorf("%s is %s by %q, want %s by %q", tc.request, reason, route, tc.want, tc.route)
		}
	}
}

func TestMatchesAreThoseOfServeMux(t *testing.T) {
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		var patterns []string
		for _, p := range rapid.SliceOfN(rapid.Custom(drawPattern), 1, 16).Draw(t, "patterns") {
			if serveMuxTakes(append(patterns, p)...) == nil {
				patterns = append(patterns, p)
			}
		}
		e := compiled(t, Options{Routes: open(patterns...)})
		for range 20 {
			m := rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PUT"}).Draw(t, "method")
			h := rapid.SampledFrom([]string{"a.com", "b.com", "c.com"}).Draw(t, "host")
			path := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "aa", "c", "%20", "%C3%A9"}), 0, 4).Draw(t, "path"), "/")
			if path != "/" && rapid.Bool().Draw(t, "last slash") {
				path += "/"
			}
			got := ""
			if r := e.routes.match(m, h, path); r != nil {
				got, found = r.Match, found+1
			}
			if want := serveMuxMatch(patterns, m, h, path); got != want {
				t.Fatalf("%s %s%s is matched by %q, by http.ServeMux by %q", m, h, path, got, want)
			}
			if reason, name := decide(e, overWire(method(m), host(h), requestTarget(path))); reason != BadRequest && ((reason == OK) != (got != "") || name != got) {
				// BadRequest: but for the slash at its end it is another route's; see below.
				t.Fatalf("%s %s%s is %s by %q, though %q matches", m, h, path, reason, name, got)
			}
		}
	})
	if found == 0 {
		t.Error("nothing ever matched: this tests nothing")
	}
}

// serveMuxMatch is the pattern by which http.ServeMux would handle a request. It knows
// redirects from /a to /a/, which we do not; so it gets to see only the patterns that
// match the path as it stands.
func serveMuxMatch(patterns []string, method, host, path string) string {
	unescaped, _ := url.PathUnescape(path)
	r := &http.Request{Method: method, Host: host, URL: &url.URL{Path: unescaped, RawPath: path}}
	lookUp := func(patterns ...string) string {
		mux := http.NewServeMux()
		for _, p := range patterns {
			mux.Handle(p, named(p))
		}
		h, _ := mux.Handler(r)
		name, _ := h.(named)
		return string(name)
	}
	var matching []string
	for _, p := range patterns {
		if lookUp(p) != "" {
			matching = append(matching, p)
		}
	}
	return lookUp(matching...)
}

type named string

func (named) ServeHTTP(http.ResponseWriter, *http.Request) {}

func TestAHostBelowADomain(t *testing.T) {
	domain := rapid.SampledFrom([]string{"com", "a.com", "b.a.com", "c.b.a.com"})
	rapid.Check(t, func(t *rapid.T) {
		domains := slices.Compact(slices.Sorted(slices.Values(rapid.SliceOfN(domain, 1, 4).Draw(t, "domains"))))
		var patterns []string
		for _, d := range domains {
			patterns = append(patterns, "*."+d+"/")
		}
		e := compiled(t, Options{Routes: open(patterns...)})
		h := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "com", "x"}), 1, 5).Draw(t, "host"), ".")
		want := ""
		for _, d := range domains { // the longest domain that the host lies below
			if strings.HasSuffix(h, "."+d) && len(d)+3 > len(want) {
				want = "*." + d + "/"
			}
		}
		got := ""
		if r := e.routes.match("GET", h, "/"); r != nil {
			got = r.Match
		}
		if got != want {
			t.Fatalf("host %s is matched by %q, want %q of %q", h, got, want, patterns)
		}
	})
}
