package differential

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

// Express, Rails, Laravel and Spring before 6 take /x and /x/ for the same. A route for one
// of the two must not be got around by the other: either that is refused, or it is as well
// protected. (attacks.md lists /admin/ among the paths to be denied.) Whoever writes both
// routes, with the same demands, gets both.
func TestALastSlashIsNoWayAroundARoute(t *testing.T) {
	watchSources(t)
	id, key := policy.KeyFormat{}.New()
	app := listening(t)
	stile := servers.Stile(t, configuration(app.addr, id, key))
	for i, tc := range []struct {
		target string
		caller level
		means  string // what the upstream does
	}{
		{"/data/key/", public, "/data/key"},
		{"/data/secret/x/", public, "/data/secret/x"},
		{"/docs/secret", public, "/docs/secret/"},
		{"/pages/secret/", public, "/pages/secret"},
		{"/leaves/secret/", public, "/leaves/secret"},
		{"/@me/admin/", public, "/@me/admin"},
		{"/t/acme/secrets/", public, "/t/acme/secrets"},
		{"/files/secret/x/", public, "/files/secret/x"},
		{"/caf%C3%A9/", public, "/café"},
		{"/v1/admin", forKeys, "/v1/admin/"},
		{"/v1", public, "/v1/"},
		{"/admin", forKeys, "/admin/"},
		{"/admin/", forKeys, "/admin"},
	} {
		var fields []string
		if tc.caller == forKeys {
			fields = []string{"X-API-Key: " + key.Reveal()}
		}
		one := "slash-" + string(rune('a'+i))
		status, err := send(stile.Proxy, request(tc.target, one, fields...))
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range app.of(one) {
			if r := matching("app.test", tc.means); r != nil && r.level > tc.caller && toggled(got.target) == decode(tc.means) {
				t.Errorf("%s by %v is let in with %d, and does what route %q protects", tc.target, tc.caller, status, r.name)
			}
		}
		if len(app.of(one)) == 0 && status < http.StatusBadRequest {
			t.Errorf("%s by %v: %d, and the upstream got nothing", tc.target, tc.caller, status)
		}
	}
}

// toggled is a path with a last slash where it had none, and the other way round.
func toggled(target string) string {
	p := decode(target)
	if short, ok := strings.CutSuffix(p, "/"); ok {
		return short
	}
	return p + "/"
}
