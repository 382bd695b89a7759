package authsvc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

const (
	adminToken = "the-token-of-these-tests"
	issuer     = "https://id.example.com"
)

// clock stands still, so that answers can be compared.
func clock() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// administration is a running admin API over a memory store, with one consumer and one key
// that the configuration file declares.
type administration struct {
	addr   string
	cache  *store.Cache
	logged *logged
	seen   []string // every answer of the API, whole
}

// declaredHash is of a key that nobody holds.
var declaredHash = "sha256:" + strings.Repeat("ab", 32)

// administrate serves the API; change may replace parts of it.
func administrate(t *testing.T, change func(*Admin)) *administration {
	t.Helper()
	memory := store.NewMemory()
	memory.Now = clock
	declared, err := store.NewStatic(
		[]policy.Consumer{{ID: "declared", Username: "Of the file", Groups: []string{"staff"}}},
		[]store.Key{{ID: "dk1", Consumer: "declared", Hash: declaredHash, Name: "of the file"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	a := &administration{logged: &logged{}}
	a.cache = store.NewCache(store.CacheOptions{Source: memory, Static: declared})
	api := &Admin{
		Consumers: memory, Keys: memory, Records: memory, Declared: declared, Local: a.cache, Decider: engine(t),
		Tokens: []TokenHash{HashToken(policy.NewSecret(adminToken))}, Now: clock, Log: slog.New(slog.NewTextHandler(a.logged, nil)),
		Revocations: memory, Issuers: []string{issuer}, Audit: memory,
	}
	if change != nil {
		change(api)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(api.Handler())
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	a.addr = ln.Addr().String()
	return a
}

// logged is a log that is written and read at the same time.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// raw sends a call with these fields, and a body where there is one.
func (a *administration) raw(t *testing.T, line, body string, fields ...string) *servers.Response {
	t.Helper()
	if body != "" {
		fields = append(fields, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	resp := servers.Send(t, a.addr, subrequest(line, fields...)+body)
	a.seen = append(a.seen, fmt.Sprint(resp.Header, resp.Body))
	if cache := resp.Header.Get("Cache-Control"); cache != "no-store" {
		t.Errorf("%.80s: Cache-Control is %q", line, cache)
	}
	return resp
}

// call sends a call as an administrator does.
func (a *administration) call(t *testing.T, line, body string) *servers.Response {
	t.Helper()
	return a.raw(t, line, body, "Authorization: Bearer "+adminToken, "Content-Type: application/json")
}

// want sends a call that must be answered with a status, and returns the body. A refusal
// must be a problem document that says the same status.
func (a *administration) want(t *testing.T, status int, line, body string) map[string]any {
	t.Helper()
	resp := a.call(t, line, body)
	if resp.Status != status {
		t.Errorf("%.100s %.100s: %d %s, want %d", line, body, resp.Status, resp.Body, status)
	}
	if resp.Status == http.StatusNoContent {
		return nil
	}
	var out map[string]any
	if err := json.Unmarshal([]byte(resp.Body), &out); err != nil {
		t.Errorf("%.100s: body %.100q: %v", line, resp.Body, err)
	}
	kind := "application/json"
	if resp.Status >= http.StatusBadRequest {
		kind = "application/problem+json"
		if out["status"] != float64(resp.Status) || out["title"] == "" {
			t.Errorf("%.100s: problem %v", line, out)
		}
	}
	if got := resp.Header.Get("Content-Type"); got != kind {
		t.Errorf("%.100s: Content-Type is %q, want %q", line, got, kind)
	}
	return out
}

// ids are the ids of a listing.
func ids(list any) (found []string) {
	elements, _ := list.([]any)
	for _, e := range elements {
		found = append(found, fmt.Sprint(e.(map[string]any)["id"]))
	}
	return found
}
