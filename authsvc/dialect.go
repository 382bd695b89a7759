package authsvc

import (
	"fmt"
	"net/http"
	"net/netip"

	"github.com/stile-gate/stile/policy"
)

// dialect is how one edge asks and how it reads the answer. Which one a request is in is
// decided by the URL that it came to, never by what it holds.
type dialect interface {
	// edge is the name in metrics and logs.
	edge() string
	// parse reads the client's request from the headers of this dialect alone. The
	// client's address is not its business.
	parse(http.Header) (policy.Wire, error)
	// render writes the answer as this edge wants it.
	render(http.ResponseWriter, *policy.Decision)
}

// paths says where each dialect is spoken.
func paths() map[string]dialect {
	return map[string]dialect{
		"/auth/traefik":      traefik{},
		"/auth/caddy":        caddy{},
		"/auth/nginx":        nginx{},
		"/auth/nginx-accel/": nginxAccel{},
	}
}

// singletons reads headers that must stand exactly once, and keeps the first fault.
type singletons struct {
	header http.Header
	fault  error
}

func (s *singletons) one(name string) string {
	values := s.header[name]
	if len(values) == 1 && values[0] != "" {
		return values[0]
	}
	if s.fault == nil {
		s.fault = fmt.Errorf("the edge must send %s exactly once and not empty; it stands %d times", name, len(values))
	}
	return ""
}

// forwarded reads the X-Forwarded family, which Traefik and Caddy write.
func forwarded(h http.Header) (policy.Wire, error) {
	s := singletons{header: h}
	w := policy.Wire{
		Method: s.one("X-Forwarded-Method"),
		Scheme: s.one("X-Forwarded-Proto"),
		Host:   s.one("X-Forwarded-Host"),
		Target: s.one("X-Forwarded-Uri"),
	}
	return w, s.fault
}

// clientIP believes X-Forwarded-For of a trusted peer, and nobody else.
func clientIP(trust policy.Prefixes, r *http.Request) (netip.Addr, error) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !trust.Contain(peer.Addr()) {
		return netip.Addr{}, fmt.Errorf("the peer %s is not in trust", r.RemoteAddr)
	}
	s := singletons{header: r.Header}
	chain := s.one("X-Forwarded-For")
	if s.fault != nil {
		return netip.Addr{}, s.fault
	}
	return trust.ClientIP(chain)
}

// allow answers exactly 200 with an empty body: some edges take nothing else. What goes
// with it is for the upstream; an edge that can give more to the client adds that itself.
func allow(w http.ResponseWriter, d *policy.Decision) {
	h := w.Header()
	values := make([]string, len(d.Set))
	for i, f := range d.Set {
		values[i] = f.Value
		h[f.Name] = values[i : i+1 : i+1] // canonical already; Set would allocate for each
	}
	w.WriteHeader(http.StatusOK)
}
