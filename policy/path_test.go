package policy

import (
	"strings"
	"testing"
)

func TestAPathBecomesCanonical(t *testing.T) {
	for _, tc := range []struct{ why, raw, path, query string }{
		{"the root", "/", "/", ""},
		{"a plain path stays as it is", "/v1/orders/42", "/v1/orders/42", ""},
		{"case matters", "/Admin", "/Admin", ""},
		{"a last slash stays", "/admin/", "/admin/", ""},
		{"unreserved characters are decoded", "/%61dm%69n", "/admin", ""},
		{"all four unreserved marks are decoded", "/a%2Db%2Ec%5Fd%7Ee", "/a-b.c_d~e", ""},
		{"digits are decoded", "/%31%39", "/19", ""},
		{"other escapes are upper-cased", "/a%c3%a9", "/a%C3%A9", ""},
		{"a reserved character stays escaped", "/a%40b%3a%2c", "/a%40b%3A%2C", ""},
		{"a reserved character stays bare", "/a@b:,!$&'()*+=", "/a@b:,!$&'()*+=", ""},
		{"an escaped space stays", "/admin%20", "/admin%20", ""},
		{"dots within a segment are no dot segment", "/a..b/...", "/a..b/...", ""},
		{"the query is cut at the first ?", "/a?b?c", "/a", "b?c"},
		{"an empty query", "/a?", "/a", ""},
		{"the query goes on as it came", "/a?x=%zz&y=%2e%2e/../;&z=\xff", "/a", "x=%zz&y=%2e%2e/../;&z=\xff"},
		{"a path in the query is none", "/admin?x=/public", "/admin", "x=/public"},
		{"dot segments in the query are none", "/public?/../admin", "/public", "/../admin"},
	} {
		t.Run(tc.why, func(t *testing.T) {
			got, err := parseTarget(tc.raw)
			if err != nil {
				t.Fatalf("%q is refused: %v", tc.raw, err)
			}
			if got.path != tc.path || got.query != tc.query {
				t.Errorf("%q is path %q and query %q, want %q and %q", tc.raw, got.path, got.query, tc.path, tc.query)
			}
		})
	}
}

func TestARequestTargetIsRefused(t *testing.T) {
	for _, tc := range []struct {
		why  string
		says string
		raws []string
	}{
		{
			"that does not begin with a slash", "begin with /",
			[]string{"", "*", "admin", "?/admin", "http://app.test/admin", "http://evil.test/admin", "app.test:443", "%2Fadmin", " /admin", "\\admin"},
		},
		{
			"with an empty segment", "empty segment",
			[]string{"//", "//admin", "///admin", "/a//b", "/admin//", "//evil.com/", "//evil.com/..", "/public//../admin"},
		},
		{
			"with a dot segment", ". or ..",
			[]string{"/.", "/./admin", "/admin/.", "/..", "/../admin", "/public/../admin", "/a/..", "/a/../", "/a/..?x", "/.?x"},
		},
		{
			"with a dot segment in an encoding", ". or ..",
			[]string{
				"/%2e", "/%2E/admin", "/public/%2e%2e/admin", "/public/.%2e/admin", "/public/%2E./admin",
				"/a/%2e%2E", "/a/%2e?x",
			},
		},
		{
			"with a raw backslash", "0x5C",
			[]string{"/\\admin", "/public\\..\\admin", "/admin\\..\\x", "/\\\\evil.com"},
		},
		{
			"with an escaped backslash", "backslash",
			[]string{"/%5Cadmin", "/admin%5c..%5cx", "/public%5C..%5Cadmin"},
		},
		{
			"with a raw control byte, space or DEL", "must be escaped",
			[]string{"/a\x00", "/a\tb", "/a\rb", "/a\nb", "/a b", "/a\x1f", "/a\x7f", "/admin HTTP/1.1"},
		},
		{
			"with an escaped control byte, NUL or DEL", "control byte",
			[]string{"/admin%00", "/%00", "/a%0d%0aX:y", "/a%09", "/a%1F", "/a%7f"},
		},
		{
			"with a fragment", "0x23",
			[]string{"/admin#f", "/foo/secret#/bar", "/#", "/a?b#c"},
		},
		{
			"with a byte above 0x7F", "must be escaped",
			[]string{"/caf\xc3\xa9", "/\xff\xfe", "/\xc0\xae\xc0\xae/admin"},
		},
		{
			"with escapes that are not UTF-8", "UTF-8",
			[]string{
				"/%c0%ae%c0%ae/admin", // overlong ..
				"/a%c0%afb",           // overlong /
				"/%e0%80%af",          // overlong /, three bytes
				"/%ff", "/a%80", "/%C3", "/%C3x%A9", "/%ed%a0%80", "/%f5%80%80%80", "/%C3/%A9",
			},
		},
		{
			"with a broken escape", "broken",
			[]string{"/%", "/%2", "/%zz", "/a%2/b", "/%u002e", "/%u002e%u002e/admin", "/%%32%65", "/%2gx", "/%-1", "/a%?x", "/a%2?e"},
		},
		{
			"with a byte that no URI holds", "must be escaped",
			[]string{"/a\"b", "/<", "/>", "/^", "/`", "/{x}", "/|", "/[::1]"},
		},
		{
			"with a control byte or a space in the query", "query has byte",
			[]string{"/a?b c", "/a?\x00", "/a?b\r\nX:y", "/a?\x7f", "/a?\t"},
		},
		{
			"that is too long", "longer than",
			[]string{"/" + strings.Repeat("a", maxTarget), "/?" + strings.Repeat("a", maxTarget)},
		},
	} {
		t.Run(tc.why, func(t *testing.T) {
			for _, raw := range tc.raws {
				got, err := parseTarget(raw)
				if err == nil {
					t.Errorf("%.60q is taken as %.60q", raw, got.path)
					continue
				}
				wantError(t, err, tc.says)
			}
		})
	}
}

func TestTheLongestTargetIsTaken(t *testing.T) {
	if _, err := parseTarget("/" + strings.Repeat("a", maxTarget-1)); err != nil {
		t.Error(err)
	}
}

func TestWhatOnlySomeRoutesAcceptIsReported(t *testing.T) {
	for _, tc := range []struct {
		raw, path string
		encoded   Encoded
	}{
		{"/a", "/a", 0},
		{"/a%20%40%C3%A9", "/a%20%40%C3%A9", 0},
		{"/a%2fb", "/a%2Fb", EncodedSlash},
		{"/a%2Fb", "/a%2Fb", EncodedSlash},
		{"/%2561dmin", "/%2561dmin", EncodedPercent},
		{"/%252e%252e", "/%252e%252e", EncodedPercent},
		{"/a;x=1", "/a;x=1", EncodedSemicolon},
		{"/a%3bx", "/a%3Bx", EncodedSemicolon},
		{"/public/..;/admin", "/public/..;/admin", EncodedSemicolon},
		{"/admin%3fx", "/admin%3Fx", EncodedQuestion},
		{"/public/secret%23/endpoint", "/public/secret%23/endpoint", EncodedHash},
		{"/%2f%25;%3f%23", "/%2F%25;%3F%23", EncodedSlash | EncodedPercent | EncodedSemicolon | EncodedQuestion | EncodedHash},
		{"/a?%2f%25;%3f%23", "/a", 0},
	} {
		got, err := parseTarget(tc.raw)
		if err != nil || got.path != tc.path || got.encoded != tc.encoded {
			t.Errorf("%q is %q with [%s] (%v), want %q with [%s]", tc.raw, got.path, got.encoded, err, tc.path, tc.encoded)
		}
	}
}

// What nginx, Caddy and Traefik were recorded to make of request targets: whatever they
// hand over has one answer where no route opts into anything.
func TestEveryTargetThatAProxyHandsOverHasOneAnswer(t *testing.T) {
	e := compiled(t, Options{Routes: open("/admin", "/ADMIN", "/admin/", "/public/{rest...}")})
	for _, tc := range []struct {
		raw    string
		reason Reason
		route  string
	}{
		{"/admin", OK, "/admin"},
		{"/%61dmin", OK, "/admin"},
		{"/ADMIN", OK, "/ADMIN"},
		{"/admin/", OK, "/admin/"},
		{"/admin?x=/public", OK, "/admin"},
		{"/admin?", OK, "/admin"},
		{"/admin??", OK, "/admin"},
		{"/public?/../admin", NoRoute, ""},
		{"/admin%20", NoRoute, ""},
		{"/AdMiN", NoRoute, ""},
		{"//admin", BadRequest, ""},
		{"/./admin", BadRequest, ""},
		{"/public/../admin", BadRequest, ""},
		{"/public/%2e%2e/admin", BadRequest, ""},
		{"/public/..%2fadmin", BadRequest, ""},
		{"/public/..%2Fadmin", BadRequest, ""},
		{"/public%2f..%2fadmin", BadRequest, ""},
		{"/admin;x=1", BadRequest, ""},
		{"/public;/../admin", BadRequest, ""},
		{"/admin%00", BadRequest, ""},
		{"/admin%2f", BadRequest, ""},
		{"/admin%2Fx", BadRequest, ""},
		{"/ADMIN%2Fx", BadRequest, ""},
		{"/admin%3Bx", BadRequest, ""},
		{"/public/..;/admin", BadRequest, ""},
		{"/admin..;/", BadRequest, ""},
		{"/\\admin", BadRequest, ""},
		{"/%5Cadmin", BadRequest, ""},
		{"/public\\..\\admin", BadRequest, ""},
		{"/admin%3fx", BadRequest, ""},
		{"/admin#f", BadRequest, ""},
		{"/admin%23f", BadRequest, ""},
		{"/public/secret%23/endpoint", BadRequest, ""},
		{"/%2561dmin", BadRequest, ""},
		{"///admin", BadRequest, ""},
		{"/..", BadRequest, ""},
		{"/../admin", BadRequest, ""},
		{"http://app.test/admin", BadRequest, ""},
		{"http://evil.test/admin", BadRequest, ""},
		{"*", BadRequest, ""},
		{"/caf\xc3\xa9", BadRequest, ""},
		{"/%c0%ae%c0%ae/admin", BadRequest, ""},
		{"/a b", BadRequest, ""},
		{"/admin/.", BadRequest, ""},
		{"/admin//", BadRequest, ""},
		{"/ap%69/a%2Fb", BadRequest, ""},
		{"/b/ap%69/..%2fadmin", BadRequest, ""},
	} {
		if reason, route := decide(e, get(tc.raw)); reason != tc.reason || route != tc.route {
			t.Errorf("%q is %s by route %q, want %s by %q", tc.raw, reason, route, tc.reason, tc.route)
		}
	}
}

func TestEncodedNames(t *testing.T) {
	for _, name := range []string{"slash", "percent", "semicolon", "question", "hash"} {
		e, err := ParseEncoded(name)
		if err != nil || e.String() != name {
			t.Errorf("%q is read as %q (%v)", name, e, err)
		}
	}
	for _, name := range []string{"", "Slash", "backslash", "%2F", "slash, percent"} {
		if e, err := ParseEncoded(name); err == nil {
			t.Errorf("%q is taken as %q", name, e)
		}
	}
	if got := (EncodedHash | EncodedSlash).String(); got != "slash, hash" {
		t.Errorf("two names read %q", got)
	}
	if got := Encoded(0).String(); got != "" {
		t.Errorf("none reads %q", got)
	}
}
