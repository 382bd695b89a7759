package parity

import "github.com/stile-gate/stile/policy"

// badHost says why some hosts are no decision on the gateway's own socket.
var badHost = map[string]string{gatewaySkin: "net/http answers 400 to a Host header with such a byte"}

// slashedHost: net/http refuses such a Host, and so does nginx, whose X-Original-URL would
// be the only one to take the rest of it for a path.
var slashedHost = map[string]string{gatewaySkin: badHost[gatewaySkin], urlSkin: "in a URL, a slash ends the host; nginx answers 400 to such a Host header by itself"}

func hostCases() []call {
	return []call{
		{host: "app.test", target: "/open/x"},
		{host: "APP.Test", target: "/open/x"},
		{host: "app.test:80", target: "/open/x"},
		{host: "app.test:443", scheme: "https", target: "/open/x"},
		{host: "app.test:8443", target: "/open/x"},
		{host: "192.0.2.1", target: "/open/x"},
		{host: "[2001:db8::1]", target: "/open/x"},
		{host: "[2001:DB8:0::1]:80", target: "/open/x"},
		{host: "a_b.test", target: "/open/x"},
		{host: "a.tenant.test", target: "/whatever"},
		{host: "b.A.tenant.TEST", target: "/whatever"},
		{host: "a.tenant.test", target: "/admin/x", want: policy.NoCredential},
		{host: "A.Tenant.Test", target: "/admin/x", want: policy.NoCredential},
		{host: "admin.test", target: "/open/x", want: policy.NoCredential},
		{host: "ADMIN.test:80", target: "/open/x", want: policy.NoCredential},
		{host: "admin.test", target: "/open/x", fields: []string{"X-API-Key: {good}"}, as: acme},
		{scheme: "https", target: "/open/x"},
		{scheme: "ws", target: "/open/x"},
		{scheme: "wss", target: "/v1/x", want: policy.NoCredential},
		{host: "app.test:8080", target: "/open/x", want: policy.BadRequest},
		{host: "app.test:443", target: "/open/x", want: policy.BadRequest},
		{host: "app.test:80", scheme: "https", target: "/open/x", want: policy.BadRequest},
		{host: "tenant.test", target: "/open/x", want: policy.BadRequest}, // not below itself
		{host: "xtenant.test", target: "/open/x", want: policy.BadRequest},
		{host: "evil.test", target: "/open/x", want: policy.BadRequest},
		{host: "app.test.evil.test", target: "/open/x", want: policy.BadRequest},
		{host: "app.test.", target: "/open/x", want: policy.BadRequest},
		{host: "admin.test.", target: "/open/x", want: policy.BadRequest},
		{host: ".app.test", target: "/open/x", want: policy.BadRequest},
		{host: "app.test,admin.test", target: "/open/x", want: policy.BadRequest},
		{host: "evil.com,for=127.0.0.1", target: "/open/x", want: policy.BadRequest},
		{host: "app.test:", target: "/open/x", want: policy.BadRequest},
		{host: "app.test:080", target: "/open/x", want: policy.BadRequest},
		{host: "app.test:80:80", target: "/open/x", want: policy.BadRequest},
		{host: "app.test:http", target: "/open/x", want: policy.BadRequest},
		{host: "2001:db8::1", target: "/open/x", want: policy.BadRequest},
		{host: "[2001:db8::1", target: "/open/x", want: policy.BadRequest},
		{host: "[fe80::1%25eth0]", target: "/open/x", want: policy.BadRequest},
		{host: "[::ffff:192.0.2.1]", target: "/open/x", want: policy.BadRequest},
		{host: "192.0.2.01", target: "/open/x", want: policy.BadRequest},
		{host: "0xc0000201", target: "/open/x", want: policy.BadRequest},
		{host: "app%2etest", target: "/open/x", want: policy.BadRequest},
		{host: "app.test;x", target: "/open/x", want: policy.BadRequest},
		{host: "app.test, admin.test", target: "/open/x", want: policy.BadRequest, but: badHost},
		{host: "user@app.test", target: "/open/x", want: policy.BadRequest, but: badHost},
		{host: "app.test#x", target: "/open/x", want: policy.BadRequest, but: badHost},
		{host: "app.test?x", target: "/open/x", want: policy.BadRequest, but: badHost},
		{host: `app.test\x`, target: "/open/x", want: policy.BadRequest, but: badHost},
		{host: "b\xc3\xbccher.test", target: "/open/x", want: policy.BadRequest, but: badHost},
		{host: "app.test/x", target: "/open/x", want: policy.BadRequest, but: slashedHost},
		{scheme: "ftp", target: "/open/x", want: policy.BadRequest},
		{scheme: "HTTP", target: "/open/x", want: policy.BadRequest},
		{scheme: "https, http", target: "/open/x", want: policy.BadRequest},
		{ip: "10.0.0.1, 192.0.2.7", target: "/open/x"},
		{ip: "192.0.2.7, 127.0.0.1", target: "/open/x"},
		{ip: "::ffff:192.0.2.7", target: "/open/x"},
		{ip: "unknown", target: "/open/x", want: policy.BadRequest},
		{ip: "192.0.2.7:80", target: "/open/x", want: policy.BadRequest},
		{ip: "fe80::1%eth0", target: "/open/x", want: policy.BadRequest},
		{ip: "010.0.0.1", target: "/open/x", want: policy.BadRequest},
		{ip: "192.0.2.7,,10.0.0.1", target: "/open/x", want: policy.BadRequest},
	}
}

func methodCases() []call {
	return []call{
		{method: "HEAD", target: "/open/x"},
		{method: "POST", target: "/open/x"},
		{method: "OPTIONS", target: "/open/x"},
		{method: "POST", target: "/form"},
		{method: "GET", target: "/form", want: policy.NoRoute},
		{method: "HEAD", target: "/form", want: policy.NoRoute},
		{method: "DELETE", target: "/v1/x", want: policy.NoCredential},
		{method: "HEAD", target: "/v1/x", fields: []string{"X-API-Key: {good}"}, as: acme},
		// A preflight is judged like any other request: nobody has opted in to more.
		{method: "OPTIONS", target: "/v1/x", fields: []string{"Origin: https://app.test", "Access-Control-Request-Method: POST"}, want: policy.NoCredential},
		{method: "PURGE", target: "/pot"},
		{method: "PURGE", target: "/v1/x", want: policy.NoCredential},
		{method: "GET", target: "/pot", want: policy.NoRoute},
		{method: "OPTIONS", target: "*", want: policy.BadRequest},
		{method: "get", target: "/open/x", want: policy.BadRequest},
		{method: "Get", target: "/open/x", want: policy.BadRequest},
		{method: "PROPFIND", target: "/open/x", want: policy.BadRequest},
		{method: "TRACE", target: "/open/x", want: policy.BadRequest},
		{method: "CONNECT", target: "/open/x", want: policy.BadRequest},
		{method: "CONNECT", target: "app.test:80", want: policy.BadRequest},
		{method: "GET,POST", target: "/open/x", want: policy.BadRequest, but: map[string]string{gatewaySkin: "net/http answers 400 to a method that is no token"}},
		{method: "GET POST", target: "/open/x", want: policy.BadRequest, but: badLine},
	}
}
