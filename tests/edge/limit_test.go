package edge

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

var guesses = flag.Int("guesses", 10_000, "requests with bad credentials for each lane")

// limitedStand has a limit of three at once, which takes too long to refill for a test, and
// umbrella, who is another consumer.
func limitedStand(t *testing.T, l lane, more ...string) (s *stand, other string) {
	t.Helper()
	id, key := policy.KeyFormat{}.New()
	umbrella := fmt.Sprintf("consumers:\n  - { id: umbrella, groups: [partners], keys: [{ id: %q, hash: %q }] }", id, policy.PlainKeyHash(key))
	return newStand(t, l, append([]string{
		"\nconsumers:", "\nlimits:\n  few: { rate: 3/h }\n" + umbrella,
		"  - name: api\n", "  - name: api\n    limit: [few]\n",
	}, more...)...), key.Reveal()
}

// tellsClients says which edges can give a client more than the answer of the upstream.
func (l lane) tellsClients() bool { return l.name != "caddy" && l.name != "traefik" }

func TestLimits(t *testing.T) {
	for _, l := range lanes() {
		t.Run(l.name, func(t *testing.T) {
			s, other := limitedStand(t, l)
			for left := 2; left >= 0; left-- {
				response, _ := s.letIn(t, s.withKey("GET /v1/orders/7"))
				told, prefix := response.Header.Values("RateLimit"), fmt.Sprintf(`"few";r=%d;t=`, left)
				if ok := len(told) == 1 && strings.HasPrefix(told[0], prefix); ok != l.tellsClients() || len(told) > 0 && !ok {
					t.Errorf("with %d left, RateLimit is %q", left, told)
				}
			}
			response := s.refused(t, s.withKey("GET /v1/orders/7"), 429)
			if p := problem(t, response); p.Type != "urn:stile:rate_limited" {
				t.Errorf("type %q", p.Type)
			}
			wait, err := strconv.Atoi(response.Header.Get("Retry-After"))
			if err != nil || wait < 1100 || wait > 1200 {
				t.Errorf("Retry-After is %q", response.Header.Values("Retry-After"))
			}
			policies, balances := response.Header.Values("RateLimit-Policy"), response.Header.Values("RateLimit")
			if !slices.Equal(policies, []string{`"few";q=3;w=3600`}) || len(balances) != 1 || !strings.HasPrefix(balances[0], `"few";r=0;t=`) {
				t.Errorf("RateLimit-Policy is %q, RateLimit %q", policies, balances)
			}
			if response, seen := s.send(t, request("GET /v1/orders/7", "X-API-Key: "+other)); response.Status != 200 || len(seen) != 1 {
				t.Errorf("another consumer got %d: %s", response.Status, response.Body)
			}
			s.refused(t, s.withKey("GET /v1/admin/books"), 403) // its own demands come first
		})
	}
}

// What an upstream says of limits reaches the client where stile has none, and not beside
// stile's own.
func TestLimitsOfTheUpstream(t *testing.T) {
	for _, l := range lanes() {
		if !l.tellsClients() {
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			s, _ := limitedStand(t, l, "GET api.example.com/healthz", "GET api.example.com/ratelimit")
			for line, want := range map[string][2]string{
				"GET /v1/ratelimit": {`"few";r=2;t=1200`, `"few";q=3;w=3600`},
				"GET /ratelimit":    {`"app";r=7;t=7`, `"app";q=7;w=7`},
			} {
				response, seen := s.send(t, s.withKey(line))
				got := [2][]string{response.Header.Values("RateLimit"), response.Header.Values("RateLimit-Policy")}
				if len(seen) != 1 || !slices.Equal(got[0], want[:1]) || !slices.Equal(got[1], want[1:]) {
					t.Errorf("%s: %d, the client is told %q, want %q", line, response.Status, got, want)
				}
			}
		})
	}
}

// Guessing ends in 429 and costs no consumer anything, not even one whose key's id is in
// what was guessed.
func TestGuesses(t *testing.T) {
	for _, l := range lanes() {
		t.Run(l.name, func(t *testing.T) {
			s, other := limitedStand(t, l, "throttle: off", "throttle: { failures: 60/h, burst: 100 }")
			s.letIn(t, s.withKey("GET /v1/orders/7"))
			before := [2]int{s.left(t, s.key), s.left(t, other)}
			if before != [2]int{1, 2} { // with the one that is asked about
				t.Errorf("the balances are %v", before)
			}
			statuses := s.guess(t, *guesses)
			if statuses[401] < 100 || statuses[401] > 120 || statuses[401]+statuses[429] != *guesses {
				t.Errorf("guesses were answered so: %v", statuses)
			}
			response := s.refused(t, request("GET /v1/orders/7", "X-API-Key: letmein"), 429)
			if p := problem(t, response); p.Type != "urn:stile:rate_limited" {
				t.Errorf("type %q", p.Type)
			}
			if wait, err := strconv.Atoi(response.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 60 {
				t.Errorf("Retry-After is %q", response.Header.Values("Retry-After"))
			}
			if after := [2]int{s.left(t, s.key), s.left(t, other)}; after != before {
				t.Errorf("the balances were %v, and are %v", before, after)
			}
			if response, seen := s.send(t, request("GET /healthz")); response.Status != 200 || len(seen) != 1 {
				t.Errorf("a public route is throttled: %d", response.Status)
			}
		})
	}
}

// guess sends bad credentials from one address and counts the statuses.
func (s *stand) guess(t *testing.T, n int) map[int]int {
	t.Helper()
	const guessers = 8
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: guessers}}
	defer client.CloseIdleConnections()
	var sent atomic.Int64
	var mu sync.Mutex
	statuses := map[int]int{}
	var all sync.WaitGroup
	for range guessers {
		all.Go(func() {
			for i := sent.Add(1); i <= int64(n); i = sent.Add(1) {
				status, err := s.guessOnce(t, client, i)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				statuses[status]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return statuses
}

func (s *stand) guessOnce(t *testing.T, client *http.Client, i int64) (status int, err error) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+"/v1/orders/7", nil)
	if err != nil {
		return 0, err
	}
	_, stranger := policy.KeyFormat{}.New()
	wrong := []string{stranger.Reveal(), "letmein", s.key[:len(s.key)-1] + "-", "stile_" + s.keyID}
	req.Host = host
	req.Header.Set("X-API-Key", wrong[i%int64(len(wrong))])
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode, err
}

var leftOf = regexp.MustCompile(`few: (-?[0-9]+) left`)

// left is what one more request of a key would leave of the limit. It is a dry run, and
// nobody is throttled in one.
func (s *stand) left(t *testing.T, key string) int {
	t.Helper()
	question, err := json.Marshal(map[string]any{
		"method": "GET", "url": "http://" + host + "/v1/orders/7", "header": map[string][]string{"X-API-Key": {key}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	fmt.Fprintf(&raw, "POST /v1/explain HTTP/1.1\r\nHost: stile\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		servers.AdminToken, len(question), question)
	response := servers.Send(t, s.stile.Admin, raw.String())
	found := leftOf.FindStringSubmatch(response.Body)
	if found == nil {
		t.Fatalf("explain answers %d: %s", response.Status, response.Body)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
