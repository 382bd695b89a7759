// Package differential sends request targets raw through real edges to an upstream that
// writes down what it gets, and holds that against what stile judged.
package differential

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

// edge is one way from a client to the upstream.
type edge struct {
	name string
	open func(t *testing.T, stile *servers.StileProcess, app string) (addr string)
}

// edges are the real ones, with the files of deploy/. Traefik is in no distribution: what it
// makes of targets stands in tests/wire, and tests/edge runs it where it is installed.
func edges() []edge {
	deployed := func(folder string) string { return filepath.Join(servers.Root(), "deploy", folder) }
	nginx := func(listen, other string) func(*testing.T, *servers.StileProcess, string) string {
		return func(t *testing.T, s *servers.StileProcess, app string) string {
			return servers.Nginx(t, deployed("nginx"), listen, "127.0.0.1:4180", s.Auth, "127.0.0.1:3000", app, other, servers.Free(t)).Addr
		}
	}
	return []edge{
		{"nginx", nginx("127.0.0.1:8080", "127.0.0.1:8081")},
		{"nginx-accel", nginx("127.0.0.1:8081", "127.0.0.1:8080")},
		{"caddy", func(t *testing.T, s *servers.StileProcess, app string) string {
			return servers.Caddy(t, deployed("caddy"), ":8080", "127.0.0.1:4180", s.Auth, "127.0.0.1:3000", app).Addr
		}},
		{"gateway", func(_ *testing.T, s *servers.StileProcess, _ string) string { return s.Proxy }},
	}
}

// decision is what stile's log says of one request.
type decision struct {
	RequestID string `json:"request_id"`
	Edge      string
	Reason    string
	Route     string
	Method    string
	Host      string
	Path      string // as the edge told it
}

// decisions reads them from the log, by request.
func decisions(log string) map[string][]decision {
	found := map[string][]decision{}
	for line := range strings.Lines(log) {
		var d decision
		if json.Unmarshal([]byte(line), &d) == nil && d.Reason != "" {
			found[d.RequestID] = append(found[d.RequestID], d)
		}
	}
	return found
}

// tried is one target, sent by one caller through one edge.
type tried struct {
	id, target string
	caller     level
	status     int
}

// tally is what became of all that was tried.
type tally struct{ sent, allowed, refused, byEdge int }

func TestWhatIsAllowedReachesNothingMoreProtected(t *testing.T) {
	watchSources(t)
	targets := corpus()
	id, key := policy.KeyFormat{}.New()
	app := listening(t)
	stile := servers.Stile(t, configuration(app.addr, id, key))
	table := []string{fmt.Sprintf("%-12s %6s %8s %8s %s", "edge", "sent", "allowed", "refused", "refused by the edge itself")}
	for _, e := range edges() {
		t.Run(e.name, func(t *testing.T) {
			addr := e.open(t, stile, app.addr)
			all := tryAll(t, e.name, addr, targets, key)
			sum := judge(t, e.name, all, decisions(waitForLog(t, stile, addr, e.name)), app)
			table = append(table, fmt.Sprintf("%-12s %6d %8d %8d %d", e.name, sum.sent, sum.allowed, sum.refused, sum.byEdge))
			// A gate that passes by doing nothing is no gate.
			if sum.sent < 2*len(targets) || sum.allowed < 100 || sum.refused < 300 {
				t.Errorf("too little was tried: %+v", sum)
			}
		})
	}
	t.Logf("%d targets, each without a credential and with a key that is not the admins'\n%s", len(targets), strings.Join(table, "\n"))
	if len(targets) < 300 {
		t.Errorf("only %d targets", len(targets))
	}
}

// watchSources looks at what the binary is built of, and `go test` sees it: a result that it
// remembers is not of other sources. It knows nothing of what a test builds by itself.
func watchSources(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"authsvc", "cmd", "policy", "proxy"} {
		err := filepath.WalkDir(filepath.Join(servers.Root(), dir), func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// tryAll sends each target as nobody and with the key.
func tryAll(t *testing.T, name, addr string, targets []string, key policy.Secret) []tried {
	t.Helper()
	var all []tried
	for i, target := range targets {
		for _, caller := range []level{public, forKeys} {
			one := tried{id: fmt.Sprintf("%s-%d-%d", name, i, caller), target: target, caller: caller}
			var fields []string
			if caller == forKeys {
				fields = []string{"X-API-Key: " + key.Reveal()}
			}
			var err error
			if one.status, err = send(addr, request(target, one.id, fields...)); err != nil {
				t.Fatalf("%q: %v", target, err)
			}
			all = append(all, one)
		}
	}
	return all
}

// waitForLog returns the log once it holds a last request.
func waitForLog(t *testing.T, stile *servers.StileProcess, addr, name string) (log string) {
	t.Helper()
	last := name + "-last"
	if status, err := send(addr, request("/open/last", last)); status != http.StatusOK || err != nil {
		t.Fatalf("the last request: %d %v", status, err)
	}
	servers.Until(t, "the log holds the last decision", func() error {
		if log = stile.Log(); !strings.Contains(log, `"`+last+`"`) {
			return errors.New("not yet")
		}
		return nil
	})
	return log
}

// judge holds what was tried against what was decided and what the upstream got.
func judge(t *testing.T, name string, all []tried, decided map[string][]decision, app *upstream) (sum tally) {
	t.Helper()
	faults := map[string]int{}
	for _, one := range all {
		sum.sent++
		got, judged := app.of(one.id), decided[one.id]
		switch {
		case len(got) > 0:
			sum.allowed++
		case len(judged) > 0:
			sum.refused++
		default:
			sum.byEdge++
		}
		fault := verdict(one, got, judged)
		if fault == nil {
			continue
		}
		// One report of a kind says what there is to know.
		if faults[fault.Error()[:20]]++; faults[fault.Error()[:20]] <= 5 {
			t.Errorf("%s: %.200q by %v: %v", name, one.target, one.caller, fault)
		}
	}
	if len(faults) > 0 {
		t.Errorf("%s: so often: %v", name, faults)
	}
	return sum
}

// verdict says what is wrong with how a request was treated, if anything.
func verdict(one tried, got []reached, judged []decision) error {
	if len(got) == 0 {
		if one.status != 0 && one.status < http.StatusBadRequest {
			return fmt.Errorf("answered with %d, and the upstream got nothing", one.status)
		}
		return nil
	}
	if len(got) > 1 || len(judged) != 1 {
		return fmt.Errorf("reached the upstream %d times after %d decisions", len(got), len(judged))
	}
	d, r := judged[0], got[0]
	path, query, hasQuery := strings.Cut(r.target, "?")
	// Spaces behind a target are none of it to whoever takes them at all.
	sentPath, sentQuery, _ := strings.Cut(strings.TrimRight(one.target, " "), "?")
	route := matching(d.Host, decode(path))
	switch {
	case d.Reason != "ok":
		return fmt.Errorf("reached the upstream, though the decision was %s", d.Reason)
	case one.status != http.StatusOK:
		return fmt.Errorf("reached the upstream, but the client got %d", one.status)
	case r.method != d.Method || strings.TrimSuffix(strings.ToLower(r.host), ":80") != d.Host:
		return fmt.Errorf("judged %s of %s, but the upstream got %s of %s", d.Method, d.Host, r.method, r.host)
	case canonical(path) != canonical(d.Path) && !isClipped(d.Path, path):
		return fmt.Errorf("judged the path %q, but the upstream got %q", d.Path, path)
	case strings.HasPrefix(one.target, "/") && canonical(path) != canonical(sentPath) && canonical(path) != canonical(escaped(sentPath)):
		return fmt.Errorf("another path than was sent reached the upstream: %q", path)
	case query != sentQuery || hasQuery && !strings.Contains(one.target, "?"):
		return fmt.Errorf("another query than was sent reached the upstream: %q", query)
	case route == nil && !keepsEscapes(d.Route) || route != nil && route.name != d.Route:
		return fmt.Errorf("judged as of route %q, but the path %q is of %v", d.Route, path, route)
	}
	judgedAs := levelOf(d.Route)
	if judgedAs > one.caller {
		return fmt.Errorf("reached route %q, which is for others", d.Route)
	}
	if kind, reading, other := mistaken(d.Host, r.target, judgedAs); other != nil {
		return fmt.Errorf("judged as of route %q, but %s reads %q, which is of route %q", d.Route, kind, reading, other.name)
	}
	return nil
}

var (
	anyEscape  = regexp.MustCompile(`%[0-9a-fA-F]{2}`)
	unreserved = regexp.MustCompile(`^[A-Za-z0-9._~-]$`)
)

// canonical decodes the escapes that RFC 3986 calls equal to what they stand for, and
// writes the others in capitals. It shares no code with stile.
func canonical(path string) string {
	return anyEscape.ReplaceAllStringFunc(path, func(e string) string {
		if text := decode(e); unreserved.MatchString(text) {
			return text
		}
		return strings.ToUpper(e)
	})
}

// escaped writes bytes that may not stand in a path as escapes. Caddy does so to its own
// copy, before it asks and before it passes it on.
func escaped(path string) string {
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; c > ' ' && c < 0x7F && !strings.ContainsRune("\"#<>[\\]^`{|}", rune(c)) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// isClipped tells whether the log holds only the beginning of a long path.
func isClipped(logged, path string) bool {
	begin, ok := strings.CutSuffix(logged, "…")
	if i := strings.LastIndexByte(begin, '%'); i >= len(begin)-2 {
		begin = begin[:i] // in the middle of an escape
	}
	return ok && len(begin) > 120 && strings.HasPrefix(canonical(path), canonical(begin))
}

// keepsEscapes tells whether a route takes escapes as data, so that its paths cannot be
// compared once they are decoded.
func keepsEscapes(name string) bool {
	return slices.ContainsFunc(routes(), func(r route) bool { return r.name == name && r.encoded != "" })
}

func levelOf(name string) level {
	for _, r := range routes() {
		if r.name == name {
			return r.level
		}
	}
	return public - 1 // of no route: everything is more protected
}
