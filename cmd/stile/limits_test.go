package main

import (
	"net/http"
	"strings"
	"testing"
)

const limitsConfig = `
listen: { auth: "@AUTH@", admin: "@ADMIN@" }
trust: [127.0.0.0/8]
throttle: { failures: 2/h, burst: 3 }
authenticators:
  partner: { api_key: { header: X-API-Key } }
limits:
  few: { rate: 2/h, per: ip }
routes:
  - { name: open, match: GET /open, public: for a test, limit: [few] }
  - { name: closed, match: GET /closed, authenticate: [partner] }
`

// reloadWith puts a text in force in place of another.
func (r *running) reloadWith(before, after string) {
	r.t.Helper()
	reloads := r.reloads("ok")
	r.write(strings.Replace(r.read(), before, after, 1))
	r.until("reloaded", func() bool { return r.reloads("ok") > reloads })
}

func (r *running) wantStatus(what, path string, want int, headers ...string) {
	r.t.Helper()
	if got := r.ask(path, headers...); got.status != want {
		r.t.Errorf("%s: %d %s, want %d", what, got.status, got.body, want)
	}
}

func TestAReloadForgivesNothing(t *testing.T) {
	r := start(t, limitsConfig)
	bad := []string{"X-API-Key", "letmein"}
	for range 3 {
		r.wantStatus("a guess", "/closed", http.StatusUnauthorized, bad...)
	}
	r.wantStatus("one too many", "/closed", http.StatusTooManyRequests, bad...)
	r.wantStatus("within the limit", "/open", http.StatusOK)
	r.wantStatus("within the limit", "/open", http.StatusOK)
	r.wantStatus("beyond it", "/open", http.StatusTooManyRequests)

	r.reloadWith("name: closed,", "name: shut,")
	r.wantStatus("guessing after a reload", "/closed", http.StatusTooManyRequests, bad...)
	r.wantStatus("beyond the limit after a reload", "/open", http.StatusTooManyRequests)

	r.reloadWith("burst: 3", "burst: 1")
	r.wantStatus("a first guess by another throttle", "/closed", http.StatusUnauthorized, bad...)
	r.wantStatus("and a second", "/closed", http.StatusTooManyRequests, bad...)

	r.reloadWith("{ failures: 2/h, burst: 1 }", "off")
	for range 5 {
		r.wantStatus("a guess without a throttle", "/closed", http.StatusUnauthorized, bad...)
	}
	r.reloadWith("few: { rate: 2/h,", "few: { rate: 2/h, burst: 4,")
	r.wantStatus("within a limit that was raised", "/open", http.StatusOK)
	if !strings.Contains(r.get(r.admin+"/metrics").body, `stile_limit_requests_total{result="exact"}`) {
		t.Error("questions about limits are not counted")
	}
}

func TestExplainSpendsNothing(t *testing.T) {
	r := start(t, limitsConfig)
	for range 5 {
		var x struct {
			Status int
			Steps  []struct{ Step, Detail string }
		}
		r.manage(http.MethodPost, "/v1/explain", `{"method":"GET","url":"/open","client_ip":"203.0.113.7"}`, &x)
		if x.Status != http.StatusOK || !strings.Contains(x.Steps[6].Detail, "few: 1 left") {
			t.Fatalf("explained as %+v", x)
		}
	}
	r.wantStatus("the first", "/open", http.StatusOK)
	r.wantStatus("the second", "/open", http.StatusOK)
	got := r.ask("/open")
	if got.status != http.StatusTooManyRequests || got.header.Get("RateLimit-Policy") != `"few";q=2;w=3600` {
		t.Errorf("the third: %d %v", got.status, got.header)
	}
}
