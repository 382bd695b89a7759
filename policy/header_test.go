package policy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestIdentityHeadersInEverySpelling(t *testing.T) {
	for _, name := range []string{
		"X-Consumer-Id", "x-consumer-id", "X-CONSUMER-ID", "X_Consumer_Id", "X.Consumer.Id", "x_consumer.id", "X-Consumer_Id",
		"X-Consumer-Username", "X-Consumer-Custom-Id", "X-Consumer-Groups", "X-Consumer-", "X-Consumer-Anything",
		"X-Credential-Identifier", "X_Credential_Identifier", "X-Credential-Username",
		"X-Authenticated-Scope", "X-Authenticated-Userid", "x.authenticated.scope",
		"X-Anonymous-Consumer", "X_Anonymous_Consumer", "x-anonymous_consumer",
		"X-Stile-Edge", "X-Stile-Status", "X-Stile-Assertion", "X_Stile_Anything",
	} {
		if !IsIdentityHeader(name) {
			t.Errorf("%q is not known as an identity header", name)
		}
	}
	for _, name := range []string{
		"", "X", "X-Consumer", "X-Consumers-Id", "Consumer-Id", "Xx-Consumer-Id", "XConsumerId", "X-Anonymous-Consumers",
		"X-Request-Id", "Authorization", "X-Forwarded-For", "X-Stiletto",
	} {
		if IsIdentityHeader(name) {
			t.Errorf("%q is taken for an identity header", name)
		}
	}
	for _, name := range IdentityHeaders() {
		if !IsIdentityHeader(name) || http.CanonicalHeaderKey(name) != name {
			t.Errorf("we set %q, which is not guarded or not canonical", name)
		}
	}
}

func TestAClientMayNotSend(t *testing.T) {
	for why, names := range map[string][]string{
		"an identity header":          {"X-Consumer-Id", "x-consumer-id", "X-Anonymous-Consumer", "X-Stile-Anything"},
		"an alias of one":             {"X_Consumer_Id", "X.Consumer.Id", "x_Consumer.id", "X_Anonymous.Consumer"},
		"an alias of a header read":   {"X_Forwarded_Uri", "X.Forwarded.Uri", "X_Forwarded-For", "X-Original_Uri", "X_Request_Id", "x_forwarded_host"},
		"an alias of a key's header":  {"X_Api_Key", "X.Api.Key", "x-api_key"},
		"an alias, whatever its case": {"X_FORWARDED_PROTO", "x.original.url", "X_API_KEY"},
	} {
		t.Run(why, func(t *testing.T) {
			e := compiled(t, Options{Routes: open("/"), Carriers: []Carrier{{Header: "X-Api-Key", Hide: true}}})
			for _, name := range names {
				if reason, _ := decide(e, overWire(header(http.Header{name: {"admin"}}))); reason != BadRequest {
					t.Errorf("%q: %s, want bad_request", name, reason)
				}
				if reason, _ := decide(e, overWire(header(http.Header{name: nil}))); reason != BadRequest {
					t.Errorf("%q without a value: %s, want bad_request", name, reason)
				}
			}
		})
	}
}

func TestAClientMaySendWhatMeansNothingToUs(t *testing.T) {
	e := compiled(t, Options{Routes: open("/")})
	for _, name := range []string{
		"Authorization", "Cookie", "X-Forwarded-For", "X-Request-Id", "X_Trace", "Some.Thing", "Remote_User", "X_Api_Key",
		// other programs' ways to say what is wanted: they never change the decision
		"X-Replaced-Path", "X-Rewrite-Url", "X-Original-Url", "X-Http-Method-Override", "X-Forwarded-Prefix", "X-Forwarded-Uri", "X-Real-Ip",
	} {
		if reason, route := decide(e, overWire(header(http.Header{name: {"/admin"}}))); reason != OK || route != "/" {
			t.Errorf("%q: %s by %q", name, reason, route)
		}
	}
}

// lighttpd makes an underscore of every character that is not a letter or digit, so that
// X+Consumer+Id is HTTP_X_CONSUMER_ID to a CGI behind it (its own tests say so).
func TestEveryCharacterThatACGIFoldsMakesAnAlias(t *testing.T) {
	e := compiled(t, Options{Routes: open("/"), Carriers: []Carrier{{Header: "X-Api-Key", Hide: true}}})
	var let []string
	for _, mark := range strings.Split("! # $ % & ' * + ^ ` | ~ _ .", " ") {
		for _, name := range []string{"X-Consumer-Id", "X-Anonymous-Consumer", "X-Api-Key", "X-Forwarded-Uri"} {
			alias := strings.ReplaceAll(name, "-", mark)
			if !isToken(alias) {
				t.Fatalf("%q is no header name", alias)
			}
			if reason, _ := decide(e, overWire(header(http.Header{alias: {"admin"}}))); reason != BadRequest {
				let = append(let, alias)
			}
		}
	}
	if len(let) > 0 {
		t.Errorf("let in: %s", strings.Join(let, "  "))
	}
}

func TestAHeaderCanCarryAKey(t *testing.T) {
	for _, name := range []string{"X-API-Key", "apikey", "Api-Key", "X-Partner-Token", "X-Auth-Token"} {
		if err := CheckCredentialHeader(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestAHeaderCannotCarryAKey(t *testing.T) {
	for why, names := range map[string][]string{
		"that is no name":            {"", " ", "X Api Key", "X-Api-Key:", "X-Api-Key\r\n", "Ключ", "X-Api-Key\x00"},
		"that programs fold":         {"X_Api_Key", "X.Api.Key"},
		"that we read":               {"Authorization", "authorization", "Cookie", "Host", "Connection", "X-Request-ID", "X-Forwarded-For", "X-Original-URI"},
		"that we set":                {"X-Consumer-ID", "x-consumer-anything", "X-Stile-Key", "X-Anonymous-Consumer", "X-Credential-Identifier"},
		"that HTTP needs":            {"Content-Length", "Transfer-Encoding", "TE", "Trailer", "Keep-Alive", "Proxy-Connection", "Expect", "Upgrade"},
		"that an edge writes itself": {"X-Real-IP", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server", "Forwarded"},
	} {
		t.Run(why, func(t *testing.T) {
			for _, name := range names {
				if CheckCredentialHeader(name) == nil {
					t.Errorf("%q may carry a key", name)
				}
			}
		})
	}
}

func TestAHeaderThatStandsOnce(t *testing.T) {
	r := overWire(header(http.Header{"X-One": {"a"}, "X-Empty": {""}, "X-Two": {"a", "a"}, "X-None": {}}))
	for name, want := range map[string]string{"X-One": "a", "X-Empty": "", "X-None": "", "X-Absent": ""} {
		if got, err := r.Single(name); err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", name, got, err, want)
		}
	}
	got, err := r.Single("X-Two")
	if got != "" || ReasonOf(err) != BadRequest {
		t.Errorf("a header that stands twice is %q (%v)", got, err)
	}
}

func TestAHeaderValueReadsTheSameEverywhere(t *testing.T) {
	for _, tc := range []struct{ why, text, want string }{
		{"nothing", "", ""},
		{"plain text", "Acme Ltd", "Acme Ltd"},
		{"a line break cannot begin another header", "a\r\nX-Role: admin", "a%0D%0AX-Role: admin"},
		{"a lone CR, a lone LF", "a\rb\nc", "a%0Db%0Ac"},
		{"NUL and DEL", "a\x00b\x7fc", "a%00b%7Fc"},
		{"a tab", "a\tb", "a%09b"},
		{"text outside ASCII", "Zoë", "Zo%C3%AB"},
		{"bytes that are no text", "\xff\xfe", "%FF%FE"},
		{"a percent sign, so that the way back is one", "100%", "100%25"},
		{"what looks like an escape", "%0D%0A", "%250D%250A"},
		{"a space at either end, which parsers trim", " a b ", "%20a b%20"},
		{"one space", " ", "%20"},
		{"quotes and semicolons", `"a";b`, `"a";b`},
	} {
		if got := HeaderValue(tc.text); got != tc.want {
			t.Errorf("%s: %q is written %q, want %q", tc.why, tc.text, got, tc.want)
		}
	}
}

// Whoever joins or splits field values at commas makes two of alice,admin.
func TestACommaIsNotLeftInAHeaderValue(t *testing.T) {
	if got := HeaderValue("alice,admin"); strings.Contains(got, ",") {
		t.Errorf("written %q, which is two values to some", got)
	}
}

func TestAHeaderList(t *testing.T) {
	for _, tc := range []struct {
		elements []string
		want     string
	}{
		{nil, ""},
		{[]string{}, ""},
		{[]string{"partners"}, "partners"},
		{[]string{"partners", "staff"}, "partners, staff"},
		{[]string{"a,b"}, "a%2Cb"},
		{[]string{"a, admin", "b"}, "a%2C admin, b"},
		{[]string{"a%2Cadmin"}, "a%252Cadmin"},
		{[]string{" a", "b "}, "%20a, b%20"},
		{[]string{"a\r\nX: y", "é"}, "a%0D%0AX: y, %C3%A9"},
	} {
		if got := HeaderList(tc.elements); got != tc.want {
			t.Errorf("%q is written %q, want %q", tc.elements, got, tc.want)
		}
	}
}

// There is one way back from a header to what was meant, and so no two identities that
// an upstream could mistake for each other.
func TestThereIsAWayBackFromAHeader(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.SampledFrom([]rune(" %,\r\n\x00aé2C")), 0, 8, -1))
	rapid.Check(t, func(t *rapid.T) {
		s := text.Draw(t, "text")
		value := HeaderValue(s)
		if strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 || strings.TrimSpace(value) != value {
			t.Fatalf("%q is written %q", s, value)
		}
		if back, err := url.PathUnescape(value); err != nil || back != s {
			t.Fatalf("%q is written %q and read %q (%v)", s, value, back, err)
		}
		list := rapid.SliceOfN(text.Filter(func(s string) bool { return s != "" }), 1, 4).Draw(t, "list")
		back := strings.Split(HeaderList(list), ", ")
		for i := range back {
			back[i], _ = url.PathUnescape(back[i])
		}
		if !slices.Equal(back, list) {
			t.Fatalf("%q is written %q and read %q", list, HeaderList(list), back)
		}
	})
}
