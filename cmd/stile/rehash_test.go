package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// A pepper is changed as docs/operations.md says, and the old one is gone from the
// configuration and from the store after the key was used once.
func TestPepperRotation(t *testing.T) {
	server := storetest.StartRedis(t)
	const (
		one = "{ version: 1, secret: the-first-pepper-of-all }"
		two = "{ version: 2, secret: the-second-pepper-of-all }"
	)
	base := reloadConfig + "store: " + server.URL + "/0\n"
	r := start(t, base+"keys: { pepper: "+one+" }\n")
	base, _, _ = strings.Cut(r.read(), "keys:")
	if got := r.manage(http.MethodPost, "/v1/consumers", `{"id":"acme"}`, nil); got.status >= 300 {
		t.Fatalf("consumer: %d %s", got.status, got.body)
	}
	var made struct{ ID, Key string }
	r.manage(http.MethodPost, "/v1/keys", `{"consumer":"acme"}`, &made)
	good := func() bool { return r.ask("/closed", "X-API-Key", made.Key).status == http.StatusOK }
	moved := func(n string) func() bool {
		return func() bool {
			return strings.Contains(r.get(r.admin+"/metrics").body, `stile_keys_rehashed_total{result="moved"} `+n+"\n")
		}
	}
	if !good() || !moved("0")() {
		t.Fatalf("before: %d", r.ask("/closed", "X-API-Key", made.Key).status)
	}
	reloaded := func(keys string) {
		t.Helper()
		before := r.reloads("ok")
		r.write(base + "keys: " + keys + "\n")
		r.until("reloaded", func() bool { return r.reloads("ok") > before })
	}
	reloaded("{ pepper: " + one + ", old_peppers: [" + two + "] }")
	if !good() || !moved("0")() {
		t.Error("while the new one is made known, a key is lost or moved")
	}
	reloaded("{ pepper: " + two + ", old_peppers: [" + one + "] }")
	if !good() {
		t.Error("with the old one to look for it")
	}
	r.until("moved", moved("1"))
	reloaded("{ pepper: " + two + " }")
	if !good() {
		t.Error("without the old one")
	}
	db := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer func() { _ = db.Close() }()
	if names := db.Keys(t.Context(), "stile:key:*").Val(); len(names) != 1 || !strings.Contains(names[0], "hmac-sha256:2:") {
		t.Errorf("stored: %q", names)
	}
	if got := r.manage(http.MethodDelete, "/v1/keys/"+made.ID, "", nil); got.status != http.StatusNoContent || good() {
		t.Errorf("revoke: %d, or it is still good", got.status)
	}
}
