// Package outage takes the store away from a running stile in every way that stores go, under
// load: nobody may be let in that policy would refuse, nobody refused because it cannot be
// known, and those who are known may not notice.
package outage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

// The cache forgets quickly, so that what is warm has to be asked for during an outage.
const yaml = `
listen: { auth: "@AUTH@", admin: "@ADMIN@" }
trust: [127.0.0.0/8]
store: "@STORE@"
cache: { ttl: 1s }
log: { decisions: false }
throttle: off
authenticators:
  partner: { api_key: { header: X-API-Key } }
limits:
  yearly: { quota: 1000000/year, per: key, on_store_error: local }
  strict: { quota: 1000000/year, per: key, on_store_error: deny }
routes:
  - { name: open, match: api.test/open, authenticate: [partner] }
  - { name: staff, match: api.test/staff, authenticate: [partner], require: { groups: [staff] } }
  - { name: limited, match: api.test/limited, authenticate: [partner], limit: [yearly] }
  - { name: strict, match: api.test/strict, authenticate: [partner], limit: [strict] }
`

// key is an API key as it was shown.
type key struct{ id, text string }

// stand is a stile on a store, with consumers whom it knows and others whom it does not.
type stand struct {
	*servers.StileProcess
	client *http.Client

	warm    []key // used by the load all the time
	counted key   // used on /limited alone
	strict  key   // used on /strict alone
	revoked key
	cold    chan key // never used
}

const (
	warmKeys = 32
	coldKeys = 400
)

func newStand(t *testing.T, url string) *stand {
	t.Helper()
	s := &stand{
		StileProcess: servers.Stile(t, strings.ReplaceAll(yaml, "@STORE@", url)),
		client:       &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		cold:         make(chan key, coldKeys),
	}
	t.Cleanup(s.client.CloseIdleConnections)
	for i := range warmKeys {
		s.warm = append(s.warm, s.newKey(t, fmt.Sprint("warm-", i)))
	}
	s.counted, s.strict, s.revoked = s.newKey(t, "counted"), s.newKey(t, "strict"), s.newKey(t, "revoked")
	for i := range coldKeys {
		if i%10 == 0 {
			s.admin(t, "POST /v1/consumers", map[string]any{"id": fmt.Sprint("cold-", i/10)})
		}
		s.cold <- s.keyOf(t, fmt.Sprint("cold-", i/10))
	}
	for _, k := range append([]key{s.counted, s.strict}, s.warm...) {
		s.wants(t, "/open", k, http.StatusOK) // who was never asked about is not known
	}
	s.wants(t, "/open", s.revoked, http.StatusOK)
	s.admin(t, "DELETE /v1/keys/"+s.revoked.id, nil)
	s.wants(t, "/open", s.revoked, http.StatusUnauthorized)
	return s
}

func (s *stand) newKey(t testing.TB, consumer string) key {
	t.Helper()
	s.admin(t, "POST /v1/consumers", map[string]any{"id": consumer})
	return s.keyOf(t, consumer)
}

func (s *stand) keyOf(t testing.TB, consumer string) key {
	t.Helper()
	made := s.admin(t, "POST /v1/keys", map[string]any{"consumer": consumer})
	return key{made["id"].(string), made["key"].(string)}
}

// stranger makes a key that nobody has.
func stranger() key {
	id, text := policy.KeyFormat{}.New()
	return key{id, text.Reveal()}
}

func (s *stand) admin(t testing.TB, line string, body any) map[string]any {
	t.Helper()
	status, answer, err := s.call(line, body)
	if err != nil || status/100 != 2 {
		t.Fatalf("%s: %d %v, %v", line, status, answer, err)
	}
	return answer
}

func (s *stand) call(line string, body any) (status int, answer map[string]any, err error) {
	method, path, _ := strings.Cut(line, " ")
	text, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(context.Background(), method, "http://"+s.Admin+path, bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+servers.AdminToken)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err == nil && len(raw) > 0 {
		err = json.Unmarshal(raw, &answer)
	}
	return resp.StatusCode, answer, err
}

// ask asks about a request, as nginx does that is handed the answer.
func (s *stand) ask(path string, k key) (status int, limits string, err error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+s.Auth+"/auth/nginx-accel/", nil)
	if err != nil {
		return 0, "", err
	}
	for name, value := range map[string]string{
		"X-API-Key": k.text, "X-Original-Method": "GET", "X-Original-URI": path, "X-Forwarded-Proto": "https",
		"X-Forwarded-Host": "api.test", "X-Forwarded-For": "203.0.113.7",
	} {
		req.Header.Set(name, value)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header.Get("RateLimit"), resp.Body.Close()
}

func (s *stand) wants(t testing.TB, path string, k key, want int) (limits string) {
	t.Helper()
	status, limits, err := s.ask(path, k)
	if err != nil || status != want {
		t.Fatalf("%s: %d, want %d (%v)", path, status, want, err)
	}
	return limits
}

// spent is what a quota of a million says was spent of it, by the request that asks too.
func (s *stand) spent(t testing.TB, k key) int {
	t.Helper()
	limits := s.wants(t, "/limited", k, http.StatusOK)
	_, rest, _ := strings.Cut(limits, ";r=")
	var left int
	if _, err := fmt.Sscanf(rest, "%d", &left); err != nil {
		t.Fatalf("RateLimit is %q", limits)
	}
	return 1_000_000 - left
}

// state is what /readyz says of the store.
func (s *stand) state(t testing.TB) (state, detail string) {
	t.Helper()
	_, answer, err := s.call("GET /readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	state, _ = answer["store"].(string)
	detail, _ = answer["detail"].(string)
	return state, detail
}

// durable has a Redis keep what it acknowledged, whatever becomes of it.
func durable() []string { return []string{"--appendonly", "yes", "--appendfsync", "always"} }
