// Package edge sends requests through real proxies, configured by the files of deploy/,
// to a real stile, and looks at what the client and the upstream get. The gateway, which
// is its own edge, goes through the same tables.
package edge

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

// What the files of deploy/ say, and a test replaces by what it has started.
const (
	stileAddress = "127.0.0.1:4180"
	appAddress   = "127.0.0.1:3000"
	host         = "api.example.com"
)

// lane is one way from a client to the upstream.
type lane struct {
	name string
	// open starts what stands in front of stile and returns where clients come in.
	open func(testing.TB, *stand) string
	// dies is what a client gets when stile is gone; 0 where stile is all there is.
	dies int
}

func deployed(folder string) string { return filepath.Join(servers.Root(), "deploy", folder) }

func lanes() []lane {
	return []lane{
		{name: "nginx", dies: 503, open: func(t testing.TB, s *stand) string {
			return servers.Nginx(t, deployed("nginx"), "127.0.0.1:8080", s.addresses("127.0.0.1:8081", servers.Free(t))...).Addr
		}},
		{name: "nginx-accel", dies: 503, open: func(t testing.TB, s *stand) string {
			return servers.Nginx(t, deployed("nginx"), "127.0.0.1:8081", s.addresses("127.0.0.1:8080", servers.Free(t))...).Addr
		}},
		{name: "caddy", dies: 502, open: func(t testing.TB, s *stand) string {
			return servers.Caddy(t, deployed("caddy"), ":8080", s.addresses()...).Addr
		}},
		{name: "traefik", dies: 500, open: func(t testing.TB, s *stand) string {
			return servers.Traefik(t, deployed("traefik"), `":8080"`, s.addresses()...).Addr
		}},
		{name: "gateway", open: func(_ testing.TB, s *stand) string { return s.stile.Proxy }},
	}
}

// stand is all that one lane needs, from the client's side of the edge to Redis.
type stand struct {
	lane
	addr     string // where clients come in
	key      string // of the consumer acme, which may read
	keyID    string
	upstream *servers.Recorder
	stile    *servers.StileProcess
	redis    *servers.Process
}

// eachLane runs a test on a stand for each lane.
func eachLane(t *testing.T, test func(*testing.T, *stand)) {
	for _, l := range lanes() {
		t.Run(l.name, func(t *testing.T) { test(t, newStand(t, l)) })
	}
}

// newStand starts what a lane needs. Of the configuration, the old text of each pair is
// replaced by the new one.
func newStand(t testing.TB, l lane, replacements ...string) *stand {
	t.Helper()
	id, key := policy.KeyFormat{}.New()
	s := &stand{lane: l, key: key.Reveal(), keyID: id, upstream: servers.Upstream(t), redis: servers.Redis(t)}
	yaml := s.configuration(t, policy.PlainKeyHash(key))
	s.stile = servers.Stile(t, strings.NewReplacer(replacements...).Replace(yaml))
	s.addr = l.open(t, s)
	t.Cleanup(func() {
		if strings.Contains(s.stile.Log(), s.key) {
			t.Error("the key stands in stile's log")
		}
	})
	return s
}

// addresses is what to replace in an edge's files.
func (s *stand) addresses(more ...string) []string {
	return append([]string{stileAddress, s.stile.Auth, appAddress, s.upstream.Addr}, more...)
}

// configuration is deploy/stile.yaml and a consumer, without a throttle: most tests guess
// more than a client may.
func (s *stand) configuration(t testing.TB, hash string) string {
	t.Helper()
	text, err := os.ReadFile(deployed("stile.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	yaml := strings.NewReplacer(
		stileAddress, "@AUTH@", "127.0.0.1:9180", "@ADMIN@", "redis://127.0.0.1:6379/0", "redis://"+s.redis.Addr,
	).Replace(string(text))
	yaml += fmt.Sprintf(`
throttle: off
consumers:
  - id: acme
    username: Acme Ltd
    custom_id: crm-42
    groups: [partners]
    keys: [{ id: %q, hash: %q, scopes: ["orders:read"] }]
`, s.keyID, hash)
	if s.name != "gateway" {
		return yaml
	}
	// The gateway is asked by clients themselves, none of whom it believes, and has to be
	// told where to.
	return strings.NewReplacer(
		"listen:\n", "listen:\n  proxy: @PROXY@\n",
		"trust: [127.0.0.1]", "trust: [192.0.2.1]",
		"    match: ", "    upstream: app\n    match: ",
	).Replace(yaml) + "\nupstreams:\n  app: { targets: [{ url: http://" + s.upstream.Addr + " }] }\n"
}

// withKey is a request line's method and target as a whole request with the good key.
func (s *stand) withKey(line string, headers ...string) string {
	return request(line, append([]string{"X-API-Key: " + s.key}, headers...)...)
}

// request is a method and a target as a whole request without a body.
func request(line string, headers ...string) string {
	all := append([]string{line + " HTTP/1.1", "Host: " + host}, headers...)
	return strings.Join(all, "\r\n") + "\r\n\r\n"
}

// send sends and returns the answer, with what reached the upstream of it.
func (s *stand) send(t testing.TB, raw string) (*servers.Response, []servers.Seen) {
	t.Helper()
	before := len(s.upstream.Requests())
	response := servers.Send(t, s.addr, raw)
	return response, s.upstream.Requests()[before:]
}

// letIn sends what must reach the upstream, once and as acme's, and be answered 200.
func (s *stand) letIn(t testing.TB, raw string) (*servers.Response, servers.Seen) {
	t.Helper()
	response, seen := s.send(t, raw)
	if response.Status != 200 || len(seen) != 1 {
		t.Fatalf("%s: status %d, reached the upstream %d times; want 200, once\n%s", raw, response.Status, len(seen), response.Body)
	}
	s.isAcme(t, seen[0])
	return response, seen[0]
}

// refused sends what must not reach the upstream and be answered with one of statuses.
func (s *stand) refused(t testing.TB, raw string, statuses ...int) *servers.Response {
	t.Helper()
	response, seen := s.send(t, raw)
	if len(seen) != 0 {
		t.Errorf("%s: reached the upstream as\n%s", clip(raw), show(seen[0]))
	}
	if !slices.Contains(statuses, response.Status) {
		t.Errorf("%s: status %d, want one of %v\n%s", clip(raw), response.Status, statuses, response.Body)
	}
	return response
}

// isAcme holds a request that reached the upstream against the truth: acme's headers,
// nothing else of their kind in any spelling, and the key nowhere.
func (s *stand) isAcme(t testing.TB, seen servers.Seen) {
	t.Helper()
	s.hasIdentity(t, seen, map[string]string{
		"x-consumer-id": "acme", "x-consumer-username": "Acme Ltd", "x-consumer-custom-id": "crm-42",
		"x-consumer-groups": "partners", "x-credential-identifier": s.keyID, "x-authenticated-scope": "orders:read",
	})
}

func (s *stand) hasIdentity(t testing.TB, seen servers.Seen, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for _, f := range seen.Fields {
		name := strings.ToLower(f[0])
		if strings.Contains(f[1], s.key) {
			t.Errorf("the key reached the upstream in %s", f[0])
		}
		if !policy.IsIdentityHeader(name) {
			continue
		}
		if _, twice := got[name]; twice {
			t.Errorf("%s reached the upstream twice", f[0])
		}
		got[name] = f[1]
		if want[name] != f[1] {
			t.Errorf("%s: %q reached the upstream, want %q", f[0], f[1], want[name])
		}
	}
	for name, value := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s: %q did not reach the upstream", name, value)
		}
	}
	if ids := seen.Values("X-Request-Id"); len(ids) != 1 || ids[0] == "" {
		t.Errorf("X-Request-Id reached the upstream as %q", ids)
	}
}

func show(s servers.Seen) string {
	lines := []string{s.Line}
	for _, f := range s.Fields {
		lines = append(lines, f[0]+": "+f[1])
	}
	return strings.Join(lines, "\n")
}

func clip(raw string) string { return raw[:min(len(raw), 400)] }
