package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// lockedBuffer is a log that a test can read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// running is a whole stile in this process.
type running struct {
	t                  *testing.T
	file               string
	log                *lockedBuffer
	auth, proxy, admin string
	stop               func() // ends it and waits
}

const adminToken = "0123456789abcdef0123"

// start serves a configuration, whose listen section is written here. An environment is
// that of the process; the admin token is in it.
func start(t *testing.T, text string) *running {
	t.Helper()
	t.Setenv("STILE_ADMIN_TOKEN", adminToken)
	r := &running{t: t, file: filepath.Join(t.TempDir(), "stile.yaml"), log: &lockedBuffer{}}
	opened := map[string]net.Listener{}
	addresses := map[string]string{}
	for _, name := range []string{"auth", "proxy", "admin"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		opened[name], addresses[name] = l, l.Addr().String()
	}
	r.auth, r.proxy, r.admin = "http://"+addresses["auth"], "http://"+addresses["proxy"], "http://"+addresses["admin"]
	r.write(strings.NewReplacer("@AUTH@", addresses["auth"], "@PROXY@", addresses["proxy"], "@ADMIN@", addresses["admin"]).Replace(text))
	s, err := loadServer(r.file, r.log, opened)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(r.stop)
	r.until("ready", func() bool { return r.get(r.admin+"/readyz").status == http.StatusOK })
	return r
}

// write puts a configuration in place as an editor does, by a rename.
func (r *running) write(text string) {
	r.t.Helper()
	temp := r.file + ".new"
	if err := os.WriteFile(temp, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(temp, r.file); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) read() string {
	r.t.Helper()
	text, err := os.ReadFile(r.file)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// until polls for a state.
func (r *running) until(what string, done func() bool) {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !done() {
		select {
		case <-deadline:
			r.t.Fatalf("never %s; log:\n%s", what, r.log)
		case <-look.C:
		}
	}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (r *running) get(url string, headers ...string) answer {
	return r.do(http.MethodGet, url, "", headers...)
}

// do sends a request; headers come in pairs.
func (r *running) do(method, url, body string, headers ...string) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return answer{}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// manage calls the admin API and decodes its answer.
func (r *running) manage(method, path, body string, out any) answer {
	r.t.Helper()
	a := r.do(method, r.admin+path, body, "Authorization", "Bearer "+adminToken, "Content-Type", "application/json")
	if out != nil {
		if err := json.Unmarshal([]byte(a.body), out); err != nil {
			r.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
		}
	}
	return a
}

// ask is a subrequest in Traefik's dialect for a path.
func (r *running) ask(path string, headers ...string) answer {
	return r.get(r.auth+"/auth/traefik", append([]string{
		"X-Forwarded-Method", "GET", "X-Forwarded-Proto", "http", "X-Forwarded-Host", "api.example.com",
		"X-Forwarded-Uri", path, "X-Forwarded-For", "203.0.113.7",
	}, headers...)...)
}
