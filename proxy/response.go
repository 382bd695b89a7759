package proxy

import (
	"errors"
	"io"
	"net/http"

	"github.com/stile-gate/stile/policy"
)

// cleanResponse keeps an upstream from speaking in our name to the client, or to a proxy
// in front of us, in the head or behind the body. Where limits of ours apply, they replace
// what an upstream says of its own: a client can obey one of the two only.
func cleanResponse(resp *http.Response, d *policy.Decision) {
	clean(resp.Header)
	clean(resp.Trailer)
	resp.Header[policy.HeaderRequestID] = []string{d.RequestID}
	d.SetLimitFields(resp.Header)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		resp.Body = &body{resp.Body, resp}
	}
}

func clean(h http.Header) {
	for name := range h {
		if policy.IsIdentityHeader(name) || name == "X-Accel-Redirect" {
			delete(h, name)
		}
	}
}

// body cleans the trailer when it is there, which is when the body has ended.
type body struct {
	io.ReadCloser
	resp *http.Response
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		clean(b.resp.Trailer)
	}
	return n, err
}

// writer cleans what goes out before the answer itself, such as 103 Early Hints, which
// ReverseProxy passes on without asking.
type writer struct{ http.ResponseWriter }

func (w writer) WriteHeader(status int) {
	if status < http.StatusOK {
		clean(w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap gives http.ResponseController what it flushes and hijacks.
func (w writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
