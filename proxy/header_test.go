package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
)

// wantField checks that the upstream got exactly these values under a name.
func wantField(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestTheUpstreamHearsWhoIsCalling(t *testing.T) {
	g := run(t)
	// Twice: a Connection list must not take away what is set after it was obeyed.
	for _, fields := range [][]string{
		{"X-Api-Key: good"},
		{"X-Api-Key: good", "Connection: close, X-Consumer-Id, X-Consumer-Username, X-Consumer-Groups, X-Credential-Identifier, X-Authenticated-Scope, X-Request-Id, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, Host"},
		{"X-Api-Key: good", "Connection: X-Consumer-Id", "Connection: X-Forwarded-For", "Proxy-Connection: X-Consumer-Groups", "Keep-Alive: X-Request-Id", "TE: X-Consumer-Id"},
	} {
		got := g.pass(t, request("GET /v1/orders", append(fields, "X-Request-Id: r-1")...))
		for name, want := range map[string][]string{
			"X-Consumer-ID": {"acme"}, "X-Consumer-Username": {"Acme Ltd"}, "X-Consumer-Groups": {"partners"}, "X-Consumer-Custom-ID": nil,
			"X-Credential-Identifier": {"k1"}, "X-Authenticated-Scope": {"orders:read"}, "X-Anonymous-Consumer": nil, "X-Request-Id": {"r-1"},
			"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"app.test"}, "X-Forwarded-Proto": {"http"}, "Host": {"app.test"},
			"X-Api-Key": nil, "Connection": nil, "Proxy-Connection": nil, "Keep-Alive": nil, "Te": nil,
		} {
			wantField(t, fmt.Sprintf("with %q: %s", fields, name), got.Values(name), want...)
		}
	}
	got := g.pass(t, request("GET /open/x", "X-Api-Key: good"))
	wantField(t, "X-Anonymous-Consumer on a public route", got.Values("X-Anonymous-Consumer"), "true")
	wantField(t, "X-Consumer-ID on a public route", got.Values("X-Consumer-ID"))
}

// A Connection list can drop a credential before it is judged or after, but not open a
// door: it is judged as it came, and no upstream sees it.
func TestAConnectionListOpensNothing(t *testing.T) {
	g := run(t)
	g.refuse(t, request("GET /v1/orders", "Connection: Authorization, Host, X-Api-Key"), policy.NoCredential)
	g.refuse(t, request("GET /v1/orders", "Connection: X-Api-Key", "X-Api-Key: bad"), policy.BadCredential)
	got := g.pass(t, request("GET /v1/orders", "Connection: X-Api-Key", "X-Api-Key: good"))
	wantField(t, "X-Consumer-ID", got.Values("X-Consumer-ID"), "acme")
}

// A client that speaks in our name is refused in every spelling that somebody could take
// for the name.
func TestAClientThatSendsAnIdentityHeaderIsRefused(t *testing.T) {
	g := run(t)
	for _, name := range append(policy.IdentityHeaders(), "X-Stile-Assertion", "X-Consumer-Role", "X-Credential-Username", "X-Authenticated-Userid", "X-Stile-Edge") {
		for _, spelling := range []string{
			name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", "."),
			strings.Replace(name, "-", "_", 1), strings.ToLower(strings.Replace(name, "-", ".", 1)),
			strings.ReplaceAll(name, "-", "+"), strings.ReplaceAll(name, "-", "~"), strings.Replace(name, "-", "!", 1), // as lighttpd folds
		} {
			g.refuse(t, request("GET /open/x", spelling+": admin"), policy.BadRequest)
			g.refuse(t, request("GET /v1/orders", "X-Api-Key: good", spelling+":"), policy.BadRequest)
		}
	}
	for _, alias := range []string{"X_Api_Key", "x.api.key", "X+Api-Key", "X_Forwarded_For", "X_FORWARDED-HOST", "x.forwarded-proto", "X~Forwarded~Uri", "X_Request_Id", "X_Original-Url"} {
		g.refuse(t, request("GET /v1/orders", "X-Api-Key: good", alias+": x"), policy.BadRequest)
	}
}

func TestNoForwardingHeaderOfAClientReachesTheUpstream(t *testing.T) {
	g := run(t)
	var fields []string
	names := []string{
		"X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Prefix", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Path", "X-Forwarded-Tls-Client-Cert",
		"x-forwarded-tls-client-cert-info", "Forwarded", "X-Real-IP", "X-Original-URI", "X-Original-URL", "x-original-method", "X-Original-Host", "X-Rewrite-URL", "X-Replaced-Path", "X-Scheme",
		"Some_Name", "some.name", "Remote_User", "Remote.User", "Remote+User", "_", ".", "~", "Content_Length", "HTTP_HOST",
	}
	for _, name := range names {
		fields = append(fields, name+": spoofed")
	}
	fields = append(fields, "X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 10.0.0.2", "X-Forwarded-Host: evil.test", "X-Forwarded-Proto: https", "X-Forwarded-Proto: gopher", "Kept-Name: yes", "User-Agent: tester")
	got := g.pass(t, request("GET /open/x", fields...))
	for _, name := range names {
		wantField(t, name, got.Values(name))
	}
	wantField(t, "X-Forwarded-For", got.Values("X-Forwarded-For"), "127.0.0.1")
	wantField(t, "X-Forwarded-Host", got.Values("X-Forwarded-Host"), "app.test")
	wantField(t, "X-Forwarded-Proto", got.Values("X-Forwarded-Proto"), "http")
	wantField(t, "Kept-Name", got.Values("Kept-Name"), "yes")
	wantField(t, "User-Agent", got.Values("User-Agent"), "tester")
	wantField(t, "User-Agent where none was sent", g.pass(t, request("GET /open/x")).Values("User-Agent"))
}

// Only a trusted peer is believed, once each, and only about address and scheme.
func TestATrustedPeerIsBelievedAboutAddressAndScheme(t *testing.T) {
	for _, tc := range []struct {
		trust  string
		fields []string
		want   policy.Reason
		ip     string
		scheme string
	}{
		{"127.0.0.0/8", nil, policy.OK, "127.0.0.1", "http"},
		{"127.0.0.0/8", []string{"X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https"}, policy.OK, "192.0.2.7", "https"},
		{"127.0.0.0/8", []string{"X-Forwarded-For: 10.0.0.1, 192.0.2.7, 127.0.0.2"}, policy.OK, "192.0.2.7", "http"},
		{"127.0.0.0/8", []string{"X-Forwarded-Proto: wss"}, policy.OK, "127.0.0.1", "https"},
		{"127.0.0.0/8", []string{"X-Forwarded-Proto: https, http"}, policy.BadRequest, "", ""},
		{"127.0.0.0/8", []string{"X-Forwarded-Proto: https", "X-Forwarded-Proto: https"}, policy.BadRequest, "", ""},
		{"127.0.0.0/8", []string{"X-Forwarded-For: 192.0.2.7", "X-Forwarded-For: 192.0.2.8"}, policy.BadRequest, "", ""},
		{"127.0.0.0/8", []string{"X-Forwarded-For: unknown"}, policy.BadRequest, "", ""},
		{"127.0.0.0/8", []string{"X-Forwarded-For: 192.0.2.7:1234"}, policy.BadRequest, "", ""},
		{"127.0.0.0/8", []string{"X-Forwarded-For: ,"}, policy.BadRequest, "", ""},
		{"127.0.0.0/8", []string{"X-Forwarded-Proto: file"}, policy.BadRequest, "", ""},
		{"127.0.0.0/8", []string{"X-Forwarded-Host: evil.test", "Forwarded: for=192.0.2.9;proto=https;host=evil.test", "X-Real-IP: 192.0.2.9", "X-Forwarded-Uri: /v1/x", "X-Forwarded-Method: DELETE"}, policy.OK, "127.0.0.1", "http"},
		{"10.0.0.0/8", []string{"X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https"}, policy.OK, "127.0.0.1", "http"},
		{"10.0.0.0/8", []string{"X-Forwarded-For: nonsense", "X-Forwarded-For: more", "X-Forwarded-Proto: gopher"}, policy.OK, "127.0.0.1", "http"},
	} {
		g := run(t, trusting(tc.trust))
		raw := request("GET /open/x", tc.fields...)
		if tc.want != policy.OK {
			g.refuse(t, raw, tc.want)
			continue
		}
		got := g.pass(t, raw)
		what := fmt.Sprintf("trusting %s, of %q", tc.trust, tc.fields)
		wantField(t, what, got.Values("X-Forwarded-For"), tc.ip)
		wantField(t, what, got.Values("X-Forwarded-Proto"), tc.scheme)
		wantField(t, what, got.Values("X-Forwarded-Host"), "app.test")
		wantField(t, what, got.Values("Forwarded"))
	}
}

func TestAHiddenKeyReachesNoUpstream(t *testing.T) {
	g := run(t)
	for _, tc := range []struct{ sent, want string }{
		{"?api_key=S", ""},
		{"?api_key=S&a=1", "?a=1"},
		{"?a=1&api_key=S", "?a=1"},
		{"?a=1&api_key=S&b=%zz;c", "?a=1&b=%zz;c"},
		{"?api_key=S&api_key=S", ""},
		{"?api_key", ""},
		{"?api_key=", ""},
		{"?api%5fkey=S&a=1", "?a=1"},
		{"?%61%70%69_key=S", ""},
		{"?API_KEY=1", "?API_KEY=1"}, // another parameter
		{"?a=api_key=S", "?a=api_key=S"},
	} {
		got := g.pass(t, request("GET /open/x"+tc.sent))
		if target := strings.TrimSuffix(got.Target(), "?"); target != "/open/x"+tc.want {
			t.Errorf("of %s, the upstream got %s", tc.sent, got.Target())
		}
	}
	for _, tc := range []struct {
		sent []string
		want []string
	}{
		{[]string{"stile_key=S"}, nil},
		{[]string{"stile_key=S; a=1"}, []string{"a=1"}},
		{[]string{"a=1; stile_key=S; b=2"}, []string{"a=1; b=2"}},
		{[]string{"a=1;stile_key=S;b=2"}, []string{"a=1; b=2"}},
		{[]string{"a=1;  stile_key = S ;b=2"}, []string{"a=1; b=2"}},
		{[]string{"stile_key=S; stile_key=S"}, nil},
		{[]string{"stile_key"}, nil},
		{[]string{"a=1", "stile_key=S"}, []string{"a=1"}},
		{[]string{"a=1; b=stile_key=S"}, []string{"a=1; b=stile_key=S"}},
	} {
		var fields []string
		for _, line := range tc.sent {
			fields = append(fields, "Cookie: "+line)
		}
		got := g.pass(t, request("GET /open/x", fields...))
		wantField(t, fmt.Sprintf("of the cookies %q", tc.sent), got.Values("Cookie"), tc.want...)
	}
	got := g.pass(t, request("GET /open/x", "X-Api-Key: S", "x-api-key: S", "Authorization: Basic S2VwdA=="))
	wantField(t, "X-Api-Key", got.Values("X-Api-Key"))
	wantField(t, "Authorization", got.Values("Authorization"), "Basic S2VwdA==")
}
