package parity

import (
	"strings"

	"github.com/stile-gate/stile/policy"
)

// credentialCases are about who is calling and what they may do.
func credentialCases() []call {
	with := func(fields ...string) []string { return fields }
	return []call{
		{target: "/v1/x", want: policy.NoCredential},
		{target: "/v1/x", fields: with("X-API-Key: {good}"), as: acme},
		{target: "/v1/x", fields: with("x-api-KEY: {good}"), as: acme},
		{target: "/v1/x", fields: with("X-API-Key:   {good}  "), as: acme}, // what HTTP calls outer space
		{target: "/open/x", fields: with("X-API-Key: {good}")},             // nobody asked
		{target: "/open/x", fields: with("X-API-Key: nonsense", "Authorization: Bearer x y")},
		{target: "/v1/x", fields: with("X-API-Key: {unknown}"), want: policy.BadCredential},
		{target: "/v1/x", fields: with("X-API-Key: {mistyped}"), want: policy.BadCredential},
		{target: "/v1/x", fields: with("X-API-Key: nonsense"), want: policy.BadCredential},
		{target: "/v1/x", fields: with("X-API-Key: {good}, {good}"), want: policy.BadCredential},
		{target: "/v1/x", fields: with("X-API-Key: \"{good}\""), want: policy.BadCredential},
		{target: "/v1/x", fields: with("X-API-Key:"), want: policy.BadRequest},
		{target: "/v1/x", fields: with("X-API-Key: {good}", "X-API-Key: {good}"), want: policy.BadRequest},
		{target: "/v1/x", fields: with("X-API-Key: {good}", "X-API-Key: {unknown}"), want: policy.BadRequest},
		{target: "/v1/x", fields: with("X-API-Key: {expired}"), want: policy.Expired},
		{target: "/v1/x", fields: with("X-API-Key: {disabled}"), want: policy.Forbidden},
		{target: "/v1/x", fields: with("X-API-Key: {lost}"), down: true},
		{target: "/v1/x?api_key={good}", want: policy.NoCredential},                                // not where this route's keys stand
		{target: "/v1/x", fields: with("Cookie: X-API-Key={good}"), want: policy.NoCredential},     // nor here
		{target: "/v1/x", fields: with("Authorization: ApiKey {good}"), want: policy.NoCredential}, // nor here
		{target: "/v1/x", fields: with("Proxy-Authorization: Bearer {token}"), want: policy.NoCredential},
		{target: "/v1/x", fields: with("Cookie: Authorization=Bearer {token}"), want: policy.NoCredential},
		{target: "/v1/x", fields: with("Authorization: Bearer {token}"), as: maria},
		{target: "/v1/x", fields: with("Authorization: bearer {token}"), as: maria},
		{target: "/v1/x", fields: with("Authorization: Bearer {stale token}"), want: policy.Expired},
		{target: "/v1/x", fields: with("Authorization: Bearer {forged token}"), want: policy.BadCredential},
		{target: "/v1/x", fields: with("Authorization: Bearer {token for others}"), want: policy.BadCredential},
		{target: "/v1/x", fields: with("Authorization: Bearer {token of others}"), want: policy.BadCredential},
		{target: "/v1/x", fields: with("Authorization: Bearer {token of nobody}"), want: policy.Forbidden},
		{target: "/v1/x", fields: with("Authorization: Bearer {token of a lost consumer}"), down: true},
		{target: "/v1/x", fields: with("Authorization: Bearer nonsense"), want: policy.BadCredential},
		{target: "/v1/x", fields: with("Authorization: Bearer"), want: policy.BadRequest},
		{target: "/v1/x", fields: with("Authorization: Bearer  {token}"), want: policy.BadRequest},
		{target: "/v1/x", fields: with("Authorization: Bearer {token}, Basic eDp5"), want: policy.BadRequest},
		{target: "/v1/x", fields: with("Authorization: Bearer {token}", "Authorization: Bearer {token}"), want: policy.BadRequest},
		{target: "/v1/x", fields: with("Authorization: Basic eDp5"), want: policy.NoCredential},
		// The route says which is tried first; a bad one ends the search.
		{target: "/v1/x", fields: with("X-API-Key: {good}", "Authorization: Bearer {token}"), as: acme},
		{target: "/staff/x", fields: with("X-API-Key: {good}", "Authorization: Bearer {token}"), as: maria},
		{target: "/v1/x", fields: with("X-API-Key: {unknown}", "Authorization: Bearer {token}"), want: policy.BadCredential},
		{target: "/staff/x", fields: with("X-API-Key: {good}", "Authorization: Bearer {forged token}"), want: policy.BadCredential},
		{target: "/staff/x", fields: with("X-API-Key: {good}"), want: policy.Forbidden},
		{target: "/v1/admin/x", fields: with("X-API-Key: {good}"), want: policy.Forbidden},
		{target: "/v1/%61dmin/x", fields: with("X-API-Key: {good}"), want: policy.Forbidden},
		{target: "/v1/ADMIN/x", fields: with("X-API-Key: {good}"), as: acme}, // case matters in paths
		{target: "/v1/read/1", fields: with("X-API-Key: {good}"), as: acme},
		{target: "/v1/write/1", fields: with("X-API-Key: {good}"), want: policy.MissingScope},
		{target: "/v1/write/1", fields: with("Authorization: Bearer {token}"), want: policy.MissingScope},
		{target: "/files/secret/x", fields: with("X-API-Key: {good}"), as: acme},
		{target: "/cookie/x", fields: with("Cookie: a=1; stile_key={good}; b=2"), as: acme},
		{target: "/cookie/x", fields: with("Cookie: stile_key={good}; stile_key={good}"), want: policy.BadRequest},
		{target: "/cookie/x", fields: with("Cookie: stile_key={good}", "Cookie: a=1"), want: policy.BadRequest},
		{target: "/cookie/x", fields: with("Cookie: STILE_KEY={good}"), want: policy.NoCredential},
		{target: "/cookie/x", fields: with("X-API-Key: {good}"), want: policy.NoCredential},
		{target: "/query/x?a=1&api_key={good}", as: acme},
		{target: "/query/x?api%5Fkey={good}", as: acme},
		{target: "/query/x?api_key={good}&api_key={good}", want: policy.BadRequest},
		{target: "/query/x?a=1;api_key={good}", want: policy.BadRequest},
		{target: "/query/x?a=%zz&api_key={good}", want: policy.BadRequest},
		{target: "/query/x?api_key={unknown}", want: policy.BadCredential},
		{target: "/query/x?api_key=", want: policy.BadRequest},
		{target: "/query/x?API_KEY={good}", want: policy.NoCredential},
		{target: "/v1/x", fields: with("Authorization: Bearer {token in header bytes}"), as: identity{
			"X-Consumer-Id": "maria", "X-Consumer-Username": "Mar%C3%ADa", "X-Consumer-Groups": "staff, night shift",
			"X-Credential-Identifier": "a%0D%0AX-Consumer-Groups: admins%2C %C3%A9%25", "X-Authenticated-Scope": "orders:write",
		}},
	}
}

// headerCases are about headers that a client writes in hope.
func headerCases() []call {
	inHope := func(target string, want policy.Reason, fields ...string) []call {
		var all []call
		for _, f := range fields {
			name, _, _ := strings.Cut(f, ":")
			all = append(all, call{name: name + " on " + target, target: target, want: want, fields: []string{f}})
		}
		return all
	}
	// Identity headers, in every spelling that somebody could take for one.
	cases := inHope("/open/x", policy.BadRequest,
		"X-Consumer-ID: admin", "x-consumer-id: admin", "X_Consumer_ID: admin", "X.Consumer.ID: admin", "X-Consumer_ID: admin", "X+Consumer+ID: admin", "X~Consumer-ID: admin", "x_consumer-id: admin", "X-Consumer-ID:",
		"X-Consumer-Username: admin", "X-Consumer-Custom-ID: 1", "X-Consumer-Groups: admins", "X-Consumer-Anything: x", "X-Credential-Identifier: k1", "X-Credential-Username: x",
		"X-Authenticated-Scope: all", "X-Authenticated-Userid: 1", "X-Anonymous-Consumer: false", "X_ANONYMOUS_CONSUMER: false", "X-Stile-Status: 200", "X-Stile-Reason: ok", "X-Stile-Edge: secret", "X.Stile.Assertion: x",
		"X_Api_Key: {good}", "x.api.key: {good}", "X_Forwarded_Uri: /open/x", "X.Original-Uri: /open/x", "X_Forwarded_For: 10.0.0.1", "X.Request.Id: x", "X+Api!Key: {good}", "X~Forwarded~Host: x",
	)
	// Headers that speak of another request than this one.
	cases = append(cases, inHope("/v1/x", policy.NoCredential,
		"X-Forwarded-Uri: /open/x", "X-Forwarded-Method: OPTIONS", "X-Forwarded-Host: a.tenant.test", "X-Forwarded-Proto: https", "X-Forwarded-For: 10.0.0.1", "X-Forwarded-Prefix: /open",
		"X-Original-URI: /open/x", "X-Original-URL: http://a.tenant.test/open/x", "X-Original-Method: OPTIONS", "X-Original-Host: a.tenant.test", "X-Rewrite-URL: /open/x", "X-Replaced-Path: /open/x",
		"X-HTTP-Method-Override: OPTIONS", "X-HTTP-Method: OPTIONS", "X-Method-Override: OPTIONS", "X-Real-IP: 127.0.0.1", "X-Client-IP: 127.0.0.1", "True-Client-IP: 127.0.0.1", "Forwarded: for=127.0.0.1;host=a.tenant.test;proto=https",
		"User-Agent: GoogleHC/1.0", "User-Agent: kube-probe/1.30", "X-Forwarded-Tls-Client-Cert: MIIfake", "Ssl-Client-Verify: SUCCESS", "Client-Cert: :AAAA:", "Referer: http://app.test/open/x", "Origin: http://app.test",
		"Connection: X-Forwarded-Uri, X-Original-URI, X-Forwarded-Host", "Connection: X-Consumer-Id", "Upgrade: websocket", "Cookie: session=\"\x80;;=", "X-Auth-Request-Redirect: /open/x",
	)...)
	cases = append(cases, []call{
		{name: "a Connection list with a key", target: "/v1/x", fields: []string{"Connection: X-API-Key, X-Consumer-ID", "X-API-Key: {good}"}, as: acme},
		{name: "bytes that are no UTF-8", target: "/open/x", fields: []string{"X-Whatever: \xff\xfe"}},
		{name: "a header with an underscore that is nobody's", target: "/open/x", fields: []string{"Some_Name: x"}},
		{name: "X-Request-Id as it should be", target: "/open/x", fields: []string{"X-Request-Id: 7f.3-a.b~C"}},
		{name: "X-Request-Id that is too long", target: "/open/x", fields: []string{"X-Request-Id: " + replaced}},
		{name: "two X-Request-Id", target: "/v1/x", fields: []string{"X-Request-Id: a", "X-Request-Id: b"}, want: policy.NoCredential},
	}...)
	return cases
}
