package authsvc

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"github.com/stile-gate/stile/policy"
)

// Question is a request that somebody wants explained.
type Question struct {
	Method   string      `json:"method"`
	URL      string      `json:"url"` // scheme://host/path?query, or /path
	Header   http.Header `json:"header,omitempty"`
	ClientIP string      `json:"client_ip,omitempty"` // 127.0.0.1 when left out
}

// mayHoldKey: a request is explained with its credentials.
func (Question) mayHoldKey(string) bool { return true }

// Request is the client request that the question stands for.
func (q Question) Request() (*policy.Request, error) {
	wire := policy.Wire{Edge: "explain", Method: q.Method, Scheme: "http", Host: "localhost", Target: q.URL, Header: http.Header{}}
	if scheme, rest, ok := strings.Cut(q.URL, "://"); ok && !strings.ContainsAny(scheme, "/?#") {
		slash := strings.IndexByte(rest+"/", '/')
		wire.Scheme, wire.Host, wire.Target = scheme, rest[:slash], rest[slash:]
		if wire.Target == "" {
			wire.Target = "/"
		}
	} else if !strings.HasPrefix(q.URL, "/") {
		// The URL is not repeated: a key can stand in it.
		return nil, badCall("url: it has no scheme; write https://host/path, or /path alone")
	}
	for name, values := range q.Header {
		name = http.CanonicalHeaderKey(name) // two spellings are two lines of one header
		wire.Header[name] = append(wire.Header[name], values...)
	}
	if host := wire.Header.Get("Host"); host != "" {
		wire.Host = host
		wire.Header.Del("Host")
	}
	if q.ClientIP == "" {
		q.ClientIP = "127.0.0.1"
	}
	var err error
	if wire.ClientIP, err = netip.ParseAddr(q.ClientIP); err != nil {
		return nil, badCall("client_ip is not an IP address")
	}
	return policy.NewRequest(wire), nil
}

// explain answers what a request would meet, and spends, counts and logs nothing.
func (a *Admin) explain(ctx context.Context, _ *http.Request, q Question) (policy.Explanation, error) {
	r, err := q.Request()
	if err != nil {
		return policy.Explanation{}, err
	}
	d := a.Decider.Decide(ctx, r)
	return policy.Explain(r, &d).Mask(a.Format), nil
}
