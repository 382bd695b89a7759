package wire

import "github.com/stile-gate/stile/policy"

// expected is what stile must answer to a recorded subrequest, and why.
type expected struct {
	want policy.Reason
	as   string // the consumer that the upstream hears of, when let in; "" for nobody
	path string // that was judged; "" where none could be
	why  string
	// lie says that the subrequest itself is untrue: the edge believed what a client wrote.
	// Stile cannot know, so it answers what it is told. What keeps the edge from it stands
	// in deploy/traefik, and TestDeployedTraefikTellsNoLies looks there.
	lie string
}

// byCase is what holds under every setting of trustForwardHeader.
func byCase() map[string]expected {
	return map[string]expected{
		// What is as it should be.
		"get":                {want: policy.OK, as: "maria", path: "/v1/orders", why: "a token of maria's; the query takes no part"},
		"get-api-key":        {want: policy.OK, as: "acme", path: "/v1/orders", why: "a key of acme's"},
		"post-body":          {want: policy.OK, as: "acme", path: "/v1/orders", why: "the body stays with Traefik, and Content-Length with it"},
		"head":               {want: policy.OK, as: "acme", path: "/v1/orders", why: "HEAD follows GET"},
		"delete":             {want: policy.OK, as: "acme", path: "/v1/orders/7", why: "preserveRequestMethod: the subrequest is a DELETE, and the method that counts stands in X-Forwarded-Method"},
		"websocket":          {want: policy.OK, as: "maria", path: "/v1/stream", why: "ws is http; Traefik sends no Upgrade along"},
		"options-preflight":  {want: policy.NoCredential, path: "/v1/orders", why: "a preflight is a request like another: nobody opted in to more"},
		"utf8":               {want: policy.OK, path: "/caf%C3%A9", why: "Traefik escapes what the client did not, and upstream and judge get the same"},
		"long-header":        {want: policy.NoCredential, path: "/v1/orders", why: "a cookie of 8 KB is none of our business"},
		"host-port":          {want: policy.NoCredential, path: "/v1/orders", why: "the port is named in hosts"},
		"absolute-form":      {want: policy.NoCredential, path: "/admin", why: "Traefik asks about the path of the full URL, and sends that on"},
		"encoded-unreserved": {want: policy.NoCredential, path: "/admin", why: "/%61dmin is /admin, and Traefik has already written it so"},
		"dot-segments":       {want: policy.NoCredential, path: "/admin", why: "Traefik has cleaned /public/../admin, for itself, for us and for the upstream"},
		"dot-segments-encoded": {
			want: policy.NoCredential, path: "/admin", why: "as dot-segments",
		},
		"double-slash":   {want: policy.NoCredential, path: "/admin", why: "as dot-segments"},
		"method-unknown": {want: policy.BadRequest, path: "/admin", why: "FOO is a method that no route knows"},
		"method-lower":   {want: policy.BadRequest, path: "/admin", why: "methods are case-sensitive: get is not GET, and some upstream could take it for that"},
		"strip":          {want: policy.NoCredential, path: "/v1/orders", why: "behind stripPrefix, what is judged is what the upstream gets"},
		"strip-traversal": {
			want: policy.NoCredential, path: "/admin", why: "as strip: Traefik cleaned first and found nothing to strip",
		},

		// Paths that an upstream could read differently.
		"encoded-slash":  {want: policy.BadRequest, path: "/public/..%2Fadmin", why: "/public/..%2Fadmin is below /public/ to Traefik and /admin to an upstream that decodes"},
		"backslash":      {want: policy.BadRequest, why: "Traefik escaped the backslashes; an upstream decodes them and takes them for slashes"},
		"nul":            {want: policy.BadRequest, why: "/admin%00 ends at the NUL for an upstream in C"},
		"double-encoded": {want: policy.BadRequest, path: "/%2561dmin", why: "/%2561dmin is /admin to whoever decodes twice"},
		"semicolon":      {want: policy.BadRequest, path: "/admin;x=1", why: "/admin;x=1 is /admin to a servlet container"},

		// What a client wrote in hope.
		"spoofed-identity":  {want: policy.BadRequest, path: "/admin", why: "a client speaks in our name, once plainly and twice as CGI would read it; Traefik passes the aliases on to the upstream, so it must not get that far"},
		"spoofed-forwarded": {want: policy.NoCredential, path: "/admin", why: "Traefik wrote the X-Forwarded headers anew; what is left of the other families is never read"},
		"spoofed-cert":      {want: policy.NoCredential, path: "/admin", why: "no certificate header is read here"},
		"connection-lists":  {want: policy.NoCredential, path: "/admin", why: "the client listed its own Authorization in Connection, so Traefik dropped it; the X-Forwarded headers it could not drop"},
		"two-authorization": {want: policy.BadRequest, path: "/v1/orders", why: "two credentials, of which upstream and judge could each take another"},
		"two-api-keys":      {want: policy.BadRequest, path: "/v1/orders", why: "as two-authorization"},

		// Certificates: sent or not, they are not what anybody here is judged by.
		"no-cert":              {want: policy.NoCredential, path: "/{}/v1", why: "a route of this sort wants a key"},
		"acme-chain":           {want: policy.NoCredential, path: "/{}/v1", why: "a certificate is no key"},
		"direct":               {want: policy.NoCredential, path: "/{}/v1", why: "a certificate is no key"},
		"stranger":             {want: policy.NoCredential, path: "/{}/v1", why: "nor is one of another authority with acme's names"},
		"serveronly":           {want: policy.NoCredential, path: "/{}/v1", why: "nor one of the wrong usage"},
		"forged-subject":       {want: policy.NoCredential, path: "/{}/v1", why: "the subject reads like another's in X-Forwarded-Tls-Client-Cert-Info, which nobody may take for an identity"},
		"spoofed-cert-no-cert": {want: policy.NoCredential, path: "/{}/v1", why: "the entry point dropped the client's own header"},
	}
}

// byName is what differs where the edge is told to believe its clients: trustedIPs holds
// the client, and trustForwardHeader is true.
func byName() map[string]expected {
	return map[string]expected{
		"on-trusted-edge__spoofed-forwarded": {
			want: policy.OK, path: "/public/x", why: "Traefik says that a client at 10.0.0.1 asks OPTIONS https://evil.test/public/x",
			lie: "the client asked GET /admin, and wrote X-Forwarded-{Uri,Method,Host,Proto,For} itself; the upstream gets GET /admin. " +
				"deploy/traefik sets trustForwardHeader: false, with which Traefik writes them all, and no trustedIPs",
		},
		"on-trusted-edge__spoofed-cert": {
			want: policy.NoCredential, path: "/admin", why: "no certificate header is read here",
			lie: "the client wrote X-Forwarded-Tls-Client-Cert; with trustForwardHeader: false it never arrives",
		},
	}
}
