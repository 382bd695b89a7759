// Package authsvc is the sidecar's face: the endpoints that edges ask, and the admin API.
package authsvc

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/stile-gate/stile/policy"
)

// maxHeaderBytes fits a chain of client certificates, and no more.
const maxHeaderBytes = 64 << 10

// NewAuthHandler serves every dialect. It is the one file that knows Echo.
func NewAuthHandler(decider policy.Decider, trust policy.Prefixes) http.Handler {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	for path, d := range paths() {
		h := &endpoint{decider: decider, trust: trust, dialect: d}
		if strings.HasSuffix(path, "/") {
			path += "*"
		}
		// Every method, also those that Echo has not heard of: Traefik can keep the
		// client's, and the accelerated way of nginx sends it on. What is judged stands
		// in a header.
		e.RouteNotFound(path, func(c echo.Context) error {
			h.ServeHTTP(c.Response().Writer, c.Request())
			return nil
		})
	}
	e.RouteNotFound("/*", func(c echo.Context) error {
		d := policy.Decision{Reason: policy.NoRoute}
		d.WriteRefusal(c.Response().Writer)
		return nil
	})
	return e
}

// endpoint is one dialect at its URL. Neither the URL's query nor the subrequest's own
// path is read: a client can have written either.
type endpoint struct {
	decider policy.Decider
	trust   policy.Prefixes
	dialect dialect
}

func (p *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d := p.decider.Decide(r.Context(), p.read(r))
	p.dialect.render(w, &d)
}

func (p *endpoint) read(r *http.Request) *policy.Request {
	ip, err := clientIP(p.trust, r)
	if err != nil {
		return policy.Unreadable(p.dialect.edge(), r.Header, err)
	}
	wire, err := p.dialect.parse(r.Header)
	if err != nil {
		return policy.Unreadable(p.dialect.edge(), r.Header, err)
	}
	wire.Edge, wire.Header, wire.ClientIP = p.dialect.edge(), r.Header, ip
	return policy.NewRequest(wire)
}

// NewServer bounds what a peer can hold open. OPTIONS * must reach the handler: net/http
// would answer it with 200, which is how an edge is told yes.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:                      h,
		DisableGeneralOptionsHandler: true,
		// Both the same, so that net/http sets one deadline for a request and not two: that
		// costs as much as matching its route. Nothing here writes more than a socket buffers.
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    maxHeaderBytes,
	}
}
