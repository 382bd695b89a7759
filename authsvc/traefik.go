package authsvc

import (
	"net/http"

	"github.com/stile-gate/stile/policy"
)

// traefik speaks forwardAuth (pkg/middlewares/auth/forward.go of v3): any 2xx allows, and
// every other answer goes to the client whole.
type traefik struct{}

func (traefik) edge() string { return "traefik" }

func (traefik) parse(h http.Header) (policy.Wire, error) { return forwarded(h) }

func (traefik) render(w http.ResponseWriter, d *policy.Decision) {
	if d.Allowed() {
		allow(w, d)
		return
	}
	d.WriteRefusal(w)
}
