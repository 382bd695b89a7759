package authsvc

import (
	"net/http"

	"github.com/stile-gate/stile/policy"
)

// caddy speaks forward_auth (modules/caddyhttp/reverseproxy/forwardauth). It differs from
// Traefik in what it sends besides: the client's raw target, its query appended to ours,
// and the Upgrade of a WebSocket. Nothing of that is read, so the answer is always plain.
type caddy struct{}

func (caddy) edge() string { return "caddy" }

func (caddy) parse(h http.Header) (policy.Wire, error) { return forwarded(h) }

func (caddy) render(w http.ResponseWriter, d *policy.Decision) {
	if d.Allowed() {
		allow(w, d)
		return
	}
	d.WriteRefusal(w)
}
