// Package proxy is the standalone gateway: the skin that judges a request and passes it
// on itself.
package proxy

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"time"

	"github.com/stile-gate/stile/policy"
)

// edge is the gateway's name in metrics and logs.
const edge = "proxy"

// Gateway asks the Decider about each request and passes the allowed ones on.
type Gateway struct {
	Decider   policy.Decider
	Trust     policy.Prefixes     // peers whose X-Forwarded-For and -Proto are believed
	Upstreams map[string]*url.URL // by the name that routes give; scheme and host only
	Hidden    []policy.Carrier    // credentials that no upstream may see
	Transport http.RoundTripper
	Log       *slog.Logger
	Observe   func(upstream, target string, code int, took time.Duration)
}

func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if len(r.TransferEncoding) > 0 {
		// net/http does not tell whether a Content-Length stood beside it, which is how a
		// second request is smuggled (RFC 9112 §6.3): nothing may follow on this connection.
		w.Header().Set("Connection", "close")
	}
	req := g.read(r)
	d := g.Decider.Decide(r.Context(), req)
	if !d.Allowed() {
		d.WriteRefusal(w)
		return
	}
	target, ok := g.Upstreams[d.Route.Upstream]
	if !ok {
		g.fail(w, &d, fmt.Errorf("route %q has no upstream", d.Route.Name))
		return
	}
	g.forward(w, r, &passage{request: req, decision: &d, target: target})
}

// read takes the request apart as a dialect does. The raw target is judged, not what
// net/http made of it.
func (g *Gateway) read(r *http.Request) *policy.Request {
	wire := policy.Wire{
		Edge: edge, Method: r.Method, Scheme: "http", Host: r.Host, Target: r.RequestURI, Header: r.Header,
	}
	if r.TLS != nil {
		wire.Scheme = "https"
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return policy.Unreadable(edge, r.Header, err)
	}
	wire.ClientIP = peer.Addr().Unmap()
	if g.Trust.Contain(peer.Addr()) {
		if err := g.believe(r.Header, &wire); err != nil {
			return policy.Unreadable(edge, r.Header, err)
		}
	}
	return policy.NewRequest(wire)
}

// believe takes client address and scheme from what a trusted peer says, if it says so.
func (g *Gateway) believe(h http.Header, wire *policy.Wire) (err error) {
	for name, values := range map[string][]string{
		"X-Forwarded-For": h["X-Forwarded-For"], "X-Forwarded-Proto": h["X-Forwarded-Proto"],
	} {
		if len(values) > 1 {
			return fmt.Errorf("%s stands %d times", name, len(values))
		}
	}
	if proto := h.Get("X-Forwarded-Proto"); proto != "" {
		wire.Scheme = proto
	}
	if chain := h.Get("X-Forwarded-For"); chain != "" {
		wire.ClientIP, err = g.Trust.ClientIP(chain)
	}
	return err
}

// passage is one request on its way to an upstream.
type passage struct {
	request  *policy.Request
	decision *policy.Decision
	target   *url.URL
}

func (g *Gateway) forward(w http.ResponseWriter, r *http.Request, p *passage) {
	start := time.Now()
	observe := func(code int) {
		if g.Observe != nil {
			g.Observe(p.decision.Route.Upstream, p.target.Host, code, time.Since(start))
		}
	}
	reverse := httputil.ReverseProxy{
		Transport: g.Transport,
		Rewrite:   func(pr *httputil.ProxyRequest) { g.rewrite(pr, p) },
		ModifyResponse: func(resp *http.Response) error {
			observe(resp.StatusCode)
			cleanResponse(resp, p.decision)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			observe(http.StatusBadGateway)
			g.fail(w, p.decision, err)
		},
	}
	reverse.ServeHTTP(writer{w}, r)
}

// fail answers for an upstream that did not: that is no decision of ours, so it has no
// reason of the table.
func (g *Gateway) fail(w http.ResponseWriter, d *policy.Decision, err error) {
	g.Log.Warn("upstream failed", "request_id", d.RequestID, "route", d.Route.Name, "upstream", d.Route.Upstream, "error", err)
	w.Header().Set(policy.HeaderRequestID, d.RequestID)
	d.SetLimitFields(w.Header()) // it was spent all the same
	policy.Problem{
		Type: "about:blank", Title: "The upstream did not answer", Status: http.StatusBadGateway, RequestID: d.RequestID,
	}.Write(w)
}

// NewServer bounds what a client can hold open before its request is read; answers may
// stream for as long as they like. OPTIONS * must reach the gateway, which refuses it.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:                      h,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            5 * time.Second,
		IdleTimeout:                  120 * time.Second,
		MaxHeaderBytes:               64 << 10,
	}
}
