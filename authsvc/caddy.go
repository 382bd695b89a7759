package authsvc

import (
	"net/http"

	"github.com/stile-gate/stile/policy"
)

// caddy speaks forward_auth (modules/caddyhttp/reverseproxy/forwardauth). It differs from
// Traefik in what it sends besides: the client's raw target, its query appended to ours,
// and the Upgrade of a WebSocket. Nothing of that is read, so the answer is always plain.
//
// An identity header that does not apply is sent empty: for one that is missing, copy_headers
// writes its own placeholder to the upstream before 2.9, and leaves the client's copy before
// 2.11.2.
type caddy struct{}

func (caddy) edge() string { return "caddy" }

func (caddy) parse(h http.Header) (policy.Wire, error) { return forwarded(h) }

func (caddy) render(w http.ResponseWriter, d *policy.Decision) {
	if d.Allowed() {
		for _, name := range policy.IdentityHeaders() {
			w.Header()[name] = []string{""}
		}
		allow(w, d)
		return
	}
	d.WriteRefusal(w)
}
