package policy

import (
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// everyEscape opts into all that can be opted into.
const everyEscape = EncodedSlash | EncodedPercent | EncodedSemicolon | EncodedQuestion | EncodedHash

// files are two routes: anybody may read a file, few may read what lies below secret.
func files(accepts Encoded) []Route {
	return []Route{opting("/files/{name}", accepts), opting("/files/secret/{x}", accepts), opting("/admin", accepts)}
}

func TestARouteTakesAsDataWhatItOptedInto(t *testing.T) {
	for _, tc := range []struct {
		accepts Encoded
		raw     string
	}{
		{EncodedSlash, "/files/a%2Fb"},
		{EncodedSlash, "/files/a%2fb"},
		{EncodedPercent, "/files/100%25"},
		{EncodedPercent, "/files/%25zz"},
		{EncodedPercent, "/files/a%2540b"},
		{EncodedSemicolon, "/files/a;v=1"},
		{EncodedSemicolon, "/files/a%3Bv"},
		{EncodedSemicolon, "/files/;a"},
		{EncodedQuestion, "/files/what%3F"},
		{EncodedHash, "/files/c%23"},
		{EncodedSlash | EncodedPercent, "/files/50%25%2Fhalf"},
		{0, "/files/a%40b%C3%A9%20"},
	} {
		e := compiled(t, Options{Routes: files(tc.accepts)})
		if reason, route := decide(e, get(tc.raw)); reason != OK || route != "/files/{name}" {
			t.Errorf("with [%s], %q is %s by route %q", tc.accepts, tc.raw, reason, route)
		}
		if tc.accepts == 0 {
			continue
		}
		e = compiled(t, Options{Routes: files(everyEscape &^ tc.accepts)})
		if reason, _ := decide(e, get(tc.raw)); reason != BadRequest {
			t.Errorf("with all but [%s], %q is %s", tc.accepts, tc.raw, reason)
		}
	}
}

func TestAPathThatAnUpstreamCouldReadAsAnotherRoutesIsRefused(t *testing.T) {
	for _, tc := range []struct{ why, raw string }{
		{"an escaped slash makes a segment", "/files/secret%2Fa"},
		{"an escaped slash in lower case", "/files/secret%2fa"},
		{"decoded twice", "/files/secret%252Fa"},
		{"decoded twice, in lower case", "/files/secret%252fa"},
		{"decoded three times", "/files/secret%25252Fa"},
		{"an escaped slash makes a dot segment", "/files/..%2Fadmin"},
		{"an escaped slash makes a dot segment in the middle", "/files/a%2F..%2Fsecret%2Fa"},
		{"an escaped slash makes an empty segment", "/files/a%2F%2Fb"},
		{"an escaped slash at the front of a segment", "/files/%2Fsecret"},
		{"dots escaped twice", "/files/%252e%252e"},
		{"dots escaped three times", "/files/%25252e%25252e"},
		{"one dot escaped twice", "/files/.%252e"},
		{"a dot segment that a parameter hides", "/files/..;/admin"},
		{"a dot segment that an escaped parameter hides", "/files/..%3Bx"},
		{"one dot and a parameter", "/files/.;x"},
		{"a segment that is nothing but a parameter", "/files/;x/a"},
		{"a parameter hides the name of another route's segment", "/files/secret;x/a"},
		{"and escaped", "/files/secret%3Bx/a"},
		{"and escaped twice", "/files/secret%253Bx/a"},
		{"a last parameter", "/admin;x"},
		{"an escaped ? ends the path", "/admin%3Fx"},
		{"an escaped # ends the path", "/admin%23x"},
		{"an escaped ? ends the path behind a dot segment", "/files/..%3Fx"},
		{"an escaped # ends the path behind a dot segment", "/files/..%23x"},
		{"a twice escaped ? ends the path", "/admin%253Fx"},
		{"a letter of a literal escaped twice", "/%2561dmin"},
		{"a control byte escaped twice", "/files/a%2500"},
		{"a line break escaped twice", "/files/a%250d%250aX:y"},
		{"a backslash escaped twice", "/files/..%255Cadmin"},
		{"a slash within a percent that is itself escaped", "/files/a%25252fb"},
		{"a # escaped twice", "/files/a%2523b"},
	} {
		t.Run(tc.why, func(t *testing.T) {
			e := compiled(t, Options{Routes: append(files(everyEscape), opting("/files/{a}/{b}", everyEscape))})
			if reason, route := decide(e, get(tc.raw)); reason != BadRequest {
				t.Errorf("%q is %s by route %q, want bad_request", tc.raw, reason, route)
			}
		})
	}
}

func TestAnEscapedReservedCharacterAgainstALiteralOne(t *testing.T) {
	e := compiled(t, Options{Routes: open("/users/@me", "/users/{name}")})
	for raw, want := range map[string]Reason{
		"/users/@me":   OK,
		"/users/%40me": BadRequest, // reads as @me to whoever decodes
		"/users/a%40b": OK,
		"/users/a@b":   OK,
	} {
		if reason, route := decide(e, get(raw)); reason != want {
			t.Errorf("%q is %s by route %q, want %s", raw, reason, route, want)
		}
	}
}

// The same the other way round: where the pattern holds the escape, a request with the
// bare character is no less the same path to whoever decodes.
func TestALiteralOfAPatternThatHoldsAnEscapeHasOneReading(t *testing.T) {
	protected := Route{Name: "protected", Match: "/users/%40admin", Authenticate: []NamedAuthenticator{says("k", APIKey, nil, ErrNoCredential)}}
	e, errs := NewEngine(Options{Routes: append(open("/users/{name}"), protected)})
	if len(errs) > 0 {
		return // a pattern that must be written as /users/@admin is just as well
	}
	if reason, route := decide(e, get("/users/@admin")); reason == OK {
		t.Errorf("/users/@admin is let in by %q, though an upstream could read it as /users/%%40admin", route)
	}
}

func TestWhatNoRouteMatchesIsNotLetInByAReading(t *testing.T) {
	e := compiled(t, Options{Routes: []Route{opting("/a/b", everyEscape)}})
	for raw, want := range map[string]Reason{
		"/a%2Fb": BadRequest, // no route opted in: no route matches as it stands
		"/a%40b": NoRoute,
		"/c":     NoRoute,
	} {
		if reason, _ := decide(e, get(raw)); reason != want {
			t.Errorf("%q is %s, want %s", raw, reason, want)
		}
	}
}

// Escapes that are not UTF-8 are refused as they stand. Escaped once more, they are what
// a program that decodes twice gets to see.
func TestEscapesThatAreNotUTF8OnceDecodedAreRefused(t *testing.T) {
	e := compiled(t, Options{Routes: files(EncodedPercent)})
	for _, raw := range []string{"/files/%25c0%25ae%25c0%25ae", "/files/%25ff", "/files/a%25c0%25afb"} {
		if reason, _ := decide(e, get(raw)); reason != BadRequest {
			t.Errorf("%q is %s, want bad_request", raw, reason)
		}
	}
}

// Tomcat removes ;x from the raw path and decodes then: a slash that is escaped within a
// parameter is gone by the time that the others become structure.
func TestParametersDroppedBeforeDecodingAreAReadingToo(t *testing.T) {
	e := compiled(t, Options{Routes: files(EncodedSlash | EncodedSemicolon)})
	for _, raw := range []string{"/files/secret%2Fa;p%2Fq", "/files/secret%2Fa;/", "/files/x%2F..;%2Fy"} {
		if reason, route := decide(e, get(raw)); reason == OK {
			t.Errorf("%q is let in by %q; without parameters and decoded it is %q", raw, route, dropThenDecode(raw))
		}
	}
}

// A program that splits at ? alone has no quarrel with a # before it, and the other way.
func TestOnlyOneOfQuestionAndHashMayEndAPath(t *testing.T) {
	e := compiled(t, Options{Routes: []Route{opting("/{a}/{b}/{c}", everyEscape), opting("/{a}/{b}/{$}", everyEscape)}})
	for _, raw := range []string{"/x%23/y/%3Fz", "/x%3F/y/%23z"} {
		if reason, route := decide(e, get(raw)); reason == OK {
			t.Errorf("%q is let in by %q; cut at its second mark alone it is of the other route", raw, route)
		}
	}
}

// To a program for which an escaped ? is data, as the route says, the path goes on behind
// it, and so do its parameters.
func TestParametersBehindAnEscapedQuestionMarkAreDroppedToo(t *testing.T) {
	e := compiled(t, Options{Routes: []Route{opting("/files/{a}/{b}", everyEscape)}})
	for _, raw := range []string{"/files/a%3F/..%3Bx", "/files/a%23/.%3Bx"} {
		if reason, route := decide(e, get(raw)); reason == OK {
			t.Errorf("%q is let in by %q; decoded and without parameters it is %q", raw, route, dropParameters(decodeOnce(raw)))
		}
	}
}

// Every layer of escapes is a path to match and to keep. A stranger chooses how many
// there are: 8 KiB hold four thousand.
func TestTheReadingsOfANestedEscapeAreBounded(t *testing.T) {
	raw := "/files/%" + strings.Repeat("25", 4000)
	got, err := parseTarget(raw)
	if err != nil {
		t.Fatal(err)
	}
	readings, err := got.readings()
	size := 0
	for _, r := range readings {
		size += len(r)
	}
	if err == nil && size > 64*len(raw) {
		t.Errorf("a target of %d bytes has %d readings of %d bytes together; want an error or a few", len(raw), len(readings), size)
	}
}

// readers are programs that take a path apart, each in its own way.
var readers = map[string]func(string) string{
	"decodes once":                      decodeOnce,
	"decodes twice":                     func(p string) string { return decodeOnce(decodeOnce(p)) },
	"decodes until nothing is left":     decodeAll,
	"drops parameters":                  dropParameters,
	"drops parameters, decodes":         dropThenDecode,
	"decodes, drops parameters":         func(p string) string { return dropParameters(decodeOnce(p)) },
	"decodes twice, drops parameters":   func(p string) string { return dropParameters(decodeOnce(decodeOnce(p))) },
	"decodes, ends at ?":                func(p string) string { return before(decodeOnce(p), "?") },
	"decodes, ends at #":                func(p string) string { return before(decodeOnce(p), "#") },
	"decodes, ends at ? and #":          func(p string) string { return before(before(decodeOnce(p), "#"), "?") },
	"decodes, ends at ?, no parameters": func(p string) string { return dropParameters(before(decodeOnce(p), "?")) },
}

func dropThenDecode(p string) string { return decodeOnce(dropParameters(p)) }

func before(s, mark string) string { s, _, _ = strings.Cut(s, mark); return s }

func decodeOnce(p string) string {
	if decoded, err := url.PathUnescape(p); err == nil {
		return decoded
	}
	return p
}

func decodeAll(p string) string {
	for {
		next := decodeOnce(p)
		if next == p {
			return p
		}
		p = next
	}
}

// resolve does away with dots and double slashes; a last slash stays.
func resolve(p string) string {
	if clean := path.Clean(p); clean == "/" || !strings.HasSuffix(p, "/") {
		return clean
	}
	return path.Clean(p) + "/"
}

// What is let in by a route is, to every reader, a path of that route or of none, even
// where the reader resolves dots and merges slashes.
func TestNoReaderSeesAnotherRoute(t *testing.T) {
	patterns := []string{"/files/{name}", "/files/secret/{x}", "/files/{a}/{b}/{c}", "/admin", "/{$}", "/open/{rest...}", "/%C3%A9"}
	var routes []Route
	for _, p := range patterns {
		routes = append(routes, opting(p, everyEscape))
	}
	e := compiled(t, Options{Routes: routes})
	piece := rapid.SampledFrom([]string{
		"files", "secret", "a", ".", "..", "%2F", "%2f", "%252F", "%25", ";", ";p", "%3B", "%253b", "%3F", "%23", "%2e", "%252e",
		"%40", "@", "%C3%A9", "%61", "%2561", "%5C", "%20",
	})
	segment := rapid.Map(rapid.SliceOfN(piece, 1, 6), func(p []string) string { return strings.Join(p, "") })
	allowed := 0
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.SampledFrom([]string{"/", "/files/", "/files/secret", "/admin", "/open/"}).Draw(t, "first")
		raw := first + strings.Join(rapid.SliceOfN(segment, 1, 3).Draw(t, "segments"), "/")
		r := get(raw)
		reason, name := decide(e, r)
		if reason != OK {
			return
		}
		allowed++
		for reader, read := range readers {
			for _, reading := range []string{read(r.Path), resolve(read(r.Path))} {
				if other := e.routes.match("GET", r.Host, reading); other != nil && other.Name != name {
					t.Fatalf("%q is let in by %q, but one that %s takes it for %q, of %q", raw, name, reader, reading, other.Name)
				}
			}
		}
	})
	if allowed == 0 {
		t.Error("nothing was ever let in: this tests nothing")
	}
}

func FuzzTarget(f *testing.F) {
	for _, raw := range []string{
		"/", "/admin", "/%61dmin", "//admin", "/./a", "/%2e%2e/a", "/..%2fadmin", "/a;x", "/%2561dmin", "/a%3fx#y", "*",
		"/caf%C3%A9", "/%c0%ae", "/a b", "/a?b?c", "/%25252e", "/..%3B/", "/a%40b", "/%zz", "http://a/b", "/a%2F%2Fb?%zz",
	} {
		f.Add(raw)
	}
	e := compiled(f, Options{Routes: append(files(everyEscape), opting("/{rest...}", 0))})
	f.Fuzz(func(t *testing.T, raw string) {
		checkTarget(t, raw)
		decide(e, get(raw)) // must not panic, whatever it says
	})
}

// checkTarget holds what is true of every target, taken or refused.
func checkTarget(t reporter, raw string) {
	t.Helper()
	got, err := parseTarget(raw)
	if err != nil {
		return
	}
	again, err := parseTarget(got.path + "?" + got.query)
	if err != nil || again != got {
		t.Errorf("%q is %+v, but that again is %+v (%v)", raw, got, again, err)
	}
	rawPath, rawQuery, _ := strings.Cut(raw, "?")
	if got.query != rawQuery {
		t.Errorf("%q: query became %q", raw, got.query)
	}
	if decodeOnce(got.path) != decodeOnce(rawPath) {
		t.Errorf("%q became %q, which decodes to something else", raw, got.path)
	}
	if strings.Count(got.path, "/") != strings.Count(rawPath, "/") {
		t.Errorf("%q became %q: a slash came or went", raw, got.path)
	}
	if i := strings.IndexFunc(got.path, func(r rune) bool { return r <= ' ' || r >= 0x7F || r == '\\' || r == '#' }); i >= 0 {
		t.Errorf("%q: canonical path %q has byte 0x%02X", raw, got.path, got.path[i])
	}
	readings, err := got.readings()
	if err != nil {
		return
	}
	for _, reading := range append(readings, got.path) {
		segments := strings.Split(reading, "/")[1:]
		if slices.Contains(segments, ".") || slices.Contains(segments, "..") || slices.Contains(segments[:len(segments)-1], "") {
			t.Errorf("%q reads as %q, with a dot or an empty segment", raw, reading)
		}
	}
}

func TestCanonicalPaths(t *testing.T) {
	chunk := rapid.OneOf(
		rapid.StringMatching(`%[0-9a-fA-F]{2}`),
		rapid.StringMatching(`[a-zA-Z0-9/.;@~%?-]`),
		rapid.SampledFrom([]string{"/", "/../", "%2e", "%25", "%C3%A9", "\\", "#", " ", "é"}),
	)
	rapid.Check(t, func(t *rapid.T) {
		checkTarget(t, "/"+strings.Join(rapid.SliceOfN(chunk, 0, 12).Draw(t, "chunks"), ""))
	})
}
