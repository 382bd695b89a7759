package main

import (
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const reloadConfig = `
listen: { auth: "@AUTH@", admin: "@ADMIN@" }
trust: [127.0.0.0/8]
authenticators:
  partner: { api_key: { header: X-API-Key } }
routes:
  - { name: open, match: GET /open, public: for a test }
  - { name: closed, match: GET /closed, authenticate: [partner] }
`

func TestReload(t *testing.T) {
	r := start(t, reloadConfig)
	if got := r.ask("/new").status; got != http.StatusNotFound {
		t.Fatalf("before: %d", got)
	}
	good := r.read()

	t.Run("a changed file is in force without a restart", func(t *testing.T) {
		r.write(good + "  - { name: new, match: GET /new, public: for a test }\n")
		r.until("reloaded", func() bool { return r.ask("/new").status == http.StatusOK })
		if !strings.Contains(r.get(r.admin+"/metrics").body, `stile_config_reloads_total{result="ok"} 1`) {
			t.Error("the reload is not counted")
		}
	})
	t.Run("a bad file keeps the old one in force, counts and says why", func(t *testing.T) {
		r.write(good + "  - { name: worse, match: GET /worse }\n")
		r.until("refused", func() bool {
			return strings.Contains(r.get(r.admin+"/metrics").body, `stile_config_reloads_total{result="failed"} 1`)
		})
		r.until("logged", func() bool { return strings.Contains(r.log.String(), `worse`) })
		if got := r.ask("/new").status; got != http.StatusOK {
			t.Errorf("the old configuration is gone: %d", got)
		}
	})
	t.Run("what takes a restart is refused with words", func(*testing.T) {
		r.write(strings.Replace(good, "trust:", "store: redis://127.0.0.1:1/0\ntrust:", 1))
		r.until("refused", func() bool { return strings.Contains(r.log.String(), "[store] changed, which takes a restart") })
	})
	t.Run("another log level is in force, and the first again", func(t *testing.T) {
		r.write(good + "log: { level: warn }\n")
		r.until("quiet", func() bool { return r.reloads("ok") == 2 })
		r.ask("/open", "X-Request-Id", "quiet-1")
		r.write(good)
		r.until("loud again", func() bool { return r.reloads("ok") == 3 })
		r.ask("/open", "X-Request-Id", "loud-1")
		r.until("logged", func() bool { return strings.Contains(r.log.String(), "loud-1") })
		if strings.Contains(r.log.String(), "quiet-1") {
			t.Error("a decision was logged at level warn")
		}
	})
	t.Run("SIGHUP reloads", func(t *testing.T) {
		before := strings.Count(r.log.String(), "configuration reloaded")
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		r.until("reloaded by the signal", func() bool { return strings.Count(r.log.String(), "configuration reloaded") > before })
	})
}

// reloads is how many reloads had a result.
func (r *running) reloads(result string) int {
	_, after, _ := strings.Cut(r.get(r.admin+"/metrics").body, `stile_config_reloads_total{result="`+result+`"} `)
	count, _, _ := strings.Cut(after, "\n")
	n, _ := strconv.Atoi(count)
	return n
}

func TestDeclaredConsumersGoWhenTheyGoFromTheFile(t *testing.T) {
	id, key, hash := generated(t)
	with := reloadConfig + `consumers: [{ id: acme, groups: [partners], keys: [{ id: "` + id + `", hash: "` + hash + `" }] }]` + "\n"
	r := start(t, with)
	if got := r.ask("/closed", "X-API-Key", key); got.status != http.StatusOK || got.header.Get("X-Consumer-ID") != "acme" {
		t.Fatalf("declared key: %d %v", got.status, got.header)
	}
	if got := r.manage(http.MethodDelete, "/v1/keys/"+id, "", nil); got.status != http.StatusConflict {
		t.Errorf("a declared key was revoked through the API: %d", got.status)
	}
	before, _, _ := strings.Cut(r.read(), "consumers:")
	r.write(before)
	r.until("gone", func() bool { return r.ask("/closed", "X-API-Key", key).status == http.StatusUnauthorized })
}
