// Package replicas holds several stile on one Redis to what no single one can show: limits
// that are exact together, and changes that count everywhere at once.
package replicas

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stile-gate/stile/tests/servers"
)

const replicas = 3

const yaml = `
listen: { auth: "@AUTH@", admin: "@ADMIN@" }
trust: [127.0.0.0/8]
store: "redis://@REDIS@/0"
log: { decisions: false }
throttle: off
authenticators:
  partner: { api_key: { header: X-API-Key } }
limits:
  hundred: { rate: 100/day, per: consumer }
  yearly:  { quota: 300/year, per: consumer }
  each:    { quota: 1000000/year, per: key }
routes:
  - { name: open, match: api.test/open, authenticate: [partner], limit: [each] }
  - { name: limited, match: api.test/limited, authenticate: [partner], limit: [hundred, yearly] }
`

// stand is some stile processes on one Redis.
type stand struct {
	redis   *servers.Process
	members []*servers.StileProcess
	client  *http.Client
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{redis: servers.Redis(t), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
	for range replicas {
		s.members = append(s.members, servers.Stile(t, strings.ReplaceAll(yaml, "@REDIS@", s.redis.Addr)))
	}
	t.Cleanup(s.client.CloseIdleConnections)
	return s
}

// admin calls one replica's admin API and decodes its answer.
func (s *stand) admin(t testing.TB, member int, line string, body any) map[string]any {
	t.Helper()
	status, answer := s.call(t, member, line, body)
	if status/100 != 2 {
		t.Fatalf("%s: %d %v", line, status, answer)
	}
	return answer
}

func (s *stand) call(t testing.TB, member int, line string, body any) (int, map[string]any) {
	t.Helper()
	method, path, _ := strings.Cut(line, " ")
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(context.Background(), method, "http://"+s.members[member].Admin+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+servers.AdminToken)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer := map[string]any{}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil && resp.StatusCode != http.StatusNoContent {
		t.Fatalf("%s: %s: %v", line, resp.Status, err)
	}
	return resp.StatusCode, answer
}

func (s *stand) consumer(t testing.TB, id string) {
	t.Helper()
	s.admin(t, 0, "POST /v1/consumers", map[string]any{"id": id})
}

// key makes a key of a consumer.
func (s *stand) key(t testing.TB, consumer string) (id, text string) {
	t.Helper()
	made := s.admin(t, 0, "POST /v1/keys", map[string]any{"consumer": consumer})
	return made["id"].(string), made["key"].(string)
}

// ask asks one replica about a request, as nginx does that is handed the answer, and
// answers its status and what it says of limits.
func (s *stand) ask(member int, path, key string) (status int, balance string, err error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+s.members[member].Auth+"/auth/nginx-accel/", nil)
	if err != nil {
		return 0, "", err
	}
	for name, value := range map[string]string{
		"X-API-Key": key, "X-Original-Method": "GET", "X-Original-URI": path, "X-Forwarded-Proto": "https",
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

// wants asks one replica and wants a status.
func (s *stand) wants(t testing.TB, member int, path, key string, want int) string {
	t.Helper()
	status, balance, err := s.ask(member, path, key)
	if err != nil || status != want {
		t.Fatalf("replica %d: %d, want %d (%v)", member, status, want, err)
	}
	return balance
}

// refusedEverywhere is when the last replica refused a key, counted from a time.
func (s *stand) refusedEverywhere(t testing.TB, key string, since time.Time) time.Duration {
	t.Helper()
	for member := range s.members {
		for {
			status, _, err := s.ask(member, "/open", key)
			if err != nil {
				t.Fatal(err)
			}
			if status == http.StatusUnauthorized {
				break
			}
			if time.Since(since) > 40*time.Second {
				t.Fatalf("replica %d still answers %d", member, status)
			}
		}
	}
	return time.Since(since)
}

// underLoad keeps every replica busy with a key of its own until the test ends. A request
// of it that is not allowed fails the test.
func (s *stand) underLoad(t *testing.T) {
	t.Helper()
	s.consumer(t, "busy")
	_, key := s.key(t, "busy")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, replicas)
	for member := range s.members {
		go func() {
			for ctx.Err() == nil {
				status, _, err := s.ask(member, "/open", key)
				if err != nil || status != http.StatusOK {
					done <- fmt.Errorf("load on replica %d: %d %w", member, status, err)
					return
				}
			}
			done <- nil
		}()
	}
	t.Cleanup(func() {
		stop()
		for range s.members {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}
