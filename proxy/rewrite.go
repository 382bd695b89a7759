package proxy

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/stile-gate/stile/policy"
)

// rewrite makes what leaves out of what came: the judged path, the query as it was, no
// header of a client that could be taken for one of ours, and then ours. It runs after
// ReverseProxy removed the hop-by-hop headers, so a client's Connection list cannot take
// away what is set here (golang/go#50580).
func (g *Gateway) rewrite(pr *httputil.ProxyRequest, p *passage) {
	out := pr.Out
	out.URL.Scheme, out.URL.Host = p.target.Scheme, p.target.Host
	out.URL.Path, _ = url.PathUnescape(p.request.Path) // a canonical path has no broken escape
	out.URL.RawPath = p.request.Path
	out.URL.RawQuery = p.request.RawQuery // ReverseProxy would re-encode it
	g.strip(out)
	out.Trailer = nil // fields that come behind the body come behind the decision
	delete(out.Header, "Trailer")
	keepWebSocket(pr.In, out.Header)
	out.Header["X-Forwarded-For"] = []string{p.request.ClientIP.String()}
	out.Header["X-Forwarded-Host"] = []string{pr.In.Host}
	out.Header["X-Forwarded-Proto"] = []string{p.request.Scheme}
	for _, f := range p.decision.Set {
		out.Header[f.Name] = []string{f.Value}
	}
}

// keepWebSocket lets a WebSocket be opened, and nothing else: what an upstream answers with 101
// becomes a tunnel, and whatever speaks HTTP within it (h2c) would go through unjudged.
func keepWebSocket(in *http.Request, h http.Header) {
	opens := in.Method == http.MethodGet && in.ContentLength == 0 // RFC 6455 §4.1
	if values := h["Upgrade"]; opens && len(values) == 1 && strings.EqualFold(values[0], "websocket") {
		h["Upgrade"], h["Connection"] = []string{"websocket"}, []string{"Upgrade"}
		return
	}
	delete(h, "Upgrade")
	delete(h, "Connection")
	delete(h, "Http2-Settings")
}

// strip deletes what no upstream may see from a client: identity and forwarding headers,
// names that a CGI upstream cannot tell from others, and credentials.
func (g *Gateway) strip(out *http.Request) {
	for name := range out.Header {
		if policy.IsIdentityHeader(name) || policy.IsForwardingHeader(name) || !policy.IsPlainHeaderName(name) {
			delete(out.Header, name)
		}
	}
	for _, c := range g.Hidden {
		switch {
		case c.Header != "":
			delete(out.Header, c.Header)
		case c.Query != "":
			out.URL.RawQuery = withoutParameter(out.URL.RawQuery, c.Query)
		case c.Cookie != "":
			withoutCookie(out.Header, c.Cookie)
		}
	}
}

// withoutParameter removes each parameter of a name, in any encoding, and keeps the rest
// of the query byte by byte.
func withoutParameter(query, name string) string {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		if !namesParameter(pair, name) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

// namesParameter looks behind semicolons too, for some upstreams end a parameter there.
func namesParameter(pair, name string) bool {
	for part := range strings.SplitSeq(pair, ";") {
		key, _, _ := strings.Cut(part, "=")
		if decoded, err := url.QueryUnescape(key); err == nil && decoded == name {
			return true
		}
	}
	return false
}

// withoutCookie removes each cookie of a name.
func withoutCookie(h http.Header, name string) {
	var kept []string
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.Trim(pair, " \t")
			if key, _, _ := strings.Cut(pair, "="); strings.TrimRight(key, " \t") != name {
				kept = append(kept, pair)
			}
		}
	}
	delete(h, "Cookie")
	if len(kept) > 0 {
		h["Cookie"] = []string{strings.Join(kept, "; ")}
	}
}
