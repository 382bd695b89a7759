package authsvc

import (
	"net/http"

	"github.com/stile-gate/stile/policy"
)

// nginxAccel is the full-fidelity way through nginx: it proxies the head of each request
// here, an allowed one goes on by X-Accel-Redirect to the named location @upstream, and a
// refusal reaches the client as it is. The location is fixed: were it read from the URL, a
// configuration that appends the client's path would let the client choose it.
type nginxAccel struct{}

func (nginxAccel) edge() string { return "nginx-accel" }

func (nginxAccel) parse(h http.Header) (policy.Wire, error) { return original(h) }

func (nginxAccel) render(w http.ResponseWriter, d *policy.Decision) {
	if !d.Allowed() {
		d.WriteRefusal(w)
		return
	}
	d.SetLimitFields(w.Header()) // for @upstream to give to the client
	w.Header()["X-Accel-Redirect"] = []string{"@upstream"}
	allow(w, d)
}
