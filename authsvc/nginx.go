package authsvc

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/stile-gate/stile/policy"
)

// nginx speaks auth_request (ngx_http_auth_request_module.c): it acts on 2xx, 401 and 403
// alone, turns all else into 500 and throws every body away. So the answer is one of 200,
// 401 and 403, and the true one stands in X-Stile-Status, for auth_request_set and
// error_page to give to the client.
type nginx struct{}

// What an nginx configuration reads with auth_request_set.
const (
	headerStatus = "X-Stile-Status"
	headerReason = "X-Stile-Reason"
)

func (nginx) edge() string { return "nginx" }

func (nginx) parse(h http.Header) (policy.Wire, error) { return original(h) }

func (nginx) render(w http.ResponseWriter, d *policy.Decision) {
	status := d.Reason.Status()
	if d.Allowed() {
		d.SetLimitFields(w.Header()) // for auth_request_set to give to the client
		allow(w, d)
		return
	}
	d.RefusalHeaders(w.Header())
	w.Header().Set(headerStatus, strconv.Itoa(status))
	w.Header().Set(headerReason, d.Reason.String())
	if status != http.StatusUnauthorized {
		status = http.StatusForbidden
	}
	w.WriteHeader(status)
}

// original reads the X-Original family: X-Original-Method, and X-Original-URI beside
// X-Forwarded-{Proto,Host}, or X-Original-URL, which ingress-nginx writes and which holds
// all three.
func original(h http.Header) (policy.Wire, error) {
	s := singletons{header: h}
	w := policy.Wire{Method: s.one("X-Original-Method")}
	if _, ok := h["X-Original-Url"]; ok {
		return w, errors.Join(s.fault, originalURL(h, &w))
	}
	w.Target, w.Scheme, w.Host = s.one("X-Original-Uri"), s.one("X-Forwarded-Proto"), s.one("X-Forwarded-Host")
	return w, s.fault
}

// originalURL takes scheme://host/uri apart by hand: net/url would read more into it than
// is there. The headers that say the same must agree, for a client may have sent them.
func originalURL(h http.Header, w *policy.Wire) error {
	s := singletons{header: h}
	scheme, rest, ok := strings.Cut(s.one("X-Original-Url"), "://")
	slash := strings.IndexByte(rest, '/')
	if !ok || slash < 0 {
		return errors.Join(s.fault, errors.New("X-Original-URL is not of the form scheme://host/path"))
	}
	w.Scheme, w.Host, w.Target = scheme, rest[:slash], rest[slash:]
	for _, f := range [...]policy.Field{
		{Name: "X-Original-Uri", Value: w.Target},
		{Name: "X-Forwarded-Proto", Value: w.Scheme},
		{Name: "X-Forwarded-Host", Value: w.Host},
	} {
		if other := h[f.Name]; len(other) > 1 || len(other) == 1 && other[0] != "" && other[0] != f.Value {
			return fmt.Errorf("%s and X-Original-URL do not agree", f.Name)
		}
	}
	return s.fault
}
