package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/redis/go-redis/v9"

	"github.com/stile-gate/stile/authsvc/store/storetest"
)

const tokenIssuer = "https://id.example.com"

// signing makes a key set file, and what signs tokens by it.
func signing(t *testing.T) (file string, sign func(claims map[string]any) string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "k", Algorithm: "EdDSA", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: "k"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file, func(claims map[string]any) string {
		t.Helper()
		claims["iss"], claims["aud"], claims["exp"] = tokenIssuer, "orders", time.Now().Add(time.Hour).Unix()
		text, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(text)
		if err != nil {
			t.Fatal(err)
		}
		token, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
}

// A revoked token is refused at once where it was revoked, and stays so when the store is
// gone; others go on.
func TestTokensAreRevokedFromEndToEnd(t *testing.T) {
	server := storetest.StartRedis(t)
	jwks, sign := signing(t)
	r := start(t, `
listen: { auth: "@AUTH@", proxy: "@PROXY@", admin: "@ADMIN@" }
trust: [127.0.0.0/8]
store: "`+server.URL+`"
authenticators:
  staff: { jwt: { issuer: "`+tokenIssuer+`", audience: orders, jwks_file: "`+jwks+`" } }
routes:
  - { name: orders, match: /orders, authenticate: [staff], upstream: dead }
upstreams: { dead: { targets: [{ url: "http://127.0.0.1:1" }] } }
`)
	now := time.Now().Unix()
	tokens := map[string]string{
		"one":      sign(map[string]any{"sub": "alice", "jti": "t1", "iat": now}),
		"session":  sign(map[string]any{"sub": "alice", "jti": "t2", "sid": "s1", "iat": now}),
		"subject":  sign(map[string]any{"sub": "bob", "iat": now}),
		"good":     sign(map[string]any{"sub": "alice", "jti": "t3", "iat": now}),
		"reissued": sign(map[string]any{"sub": "bob", "iat": now + 30}), // the issuer's clock is ahead
	}
	want := func(when string, statuses map[string]int) {
		t.Helper()
		for name, token := range tokens {
			status := http.StatusOK
			if s, ok := statuses[name]; ok {
				status = s
			}
			a := r.ask("/orders", "Authorization", "Bearer "+token)
			if a.status != status || strings.Contains(a.body, "revoked") {
				t.Errorf("%s, %s: %d %s, want %d", when, name, a.status, a.body, status)
			}
		}
	}
	want("before", nil)
	for _, body := range []string{`"jti":"t1"`, `"session":"s1"`, `"subject":"bob"`} {
		if a := r.manage(http.MethodPost, "/v1/tokens/revoke", `{"issuer":"`+tokenIssuer+`",`+body+`}`, nil); a.status != http.StatusNoContent {
			t.Fatalf("%s: %d %s", body, a.status, a.body)
		}
	}
	revoked := map[string]int{"one": 401, "session": 401, "subject": 401}
	want("revoked", revoked)
	r.write(strings.ReplaceAll(r.read(), "match: /orders", "match: \"/{all...}\"")) // a reload forgets nothing
	r.until("reloaded", func() bool { return r.ask("/other", "Authorization", "Bearer "+tokens["good"]).status == http.StatusOK })
	want("reloaded", revoked)
	server.Kill()
	want("without the store", revoked)
	tokens = map[string]string{"new": sign(map[string]any{"sub": "carol", "jti": "t9", "iat": now})}
	want("first seen without the store", nil)
	r.stop()
	if !strings.Contains(r.log.String(), `"detail":"token is revoked"`) {
		t.Error("the log does not say why")
	}
}

// stileTells runs a verb and answers its exit code and all that it wrote.
func stileTells(t *testing.T, r *running, args ...string) (code int, text string) {
	t.Helper()
	t.Setenv("STILE_ADMIN", r.admin)
	t.Setenv("STILE_TOKEN", adminToken)
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.ExecuteContext(t.Context())
	if err == nil {
		return 0, out.String()
	}
	if told := new(toldError); !errors.As(err, &told) {
		out.WriteString(err.Error())
	}
	return exitCode(err), out.String()
}

// What somebody does to the audit behind stile's back shows.
func TestAuditVerifyFindsTheFirstBadEntry(t *testing.T) {
	server := storetest.StartRedis(t)
	db := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer func() { _ = db.Close() }()
	r := start(t, `
listen: { auth: "@AUTH@", proxy: "@PROXY@", admin: "@ADMIN@" }
trust: [127.0.0.0/8]
store: "`+server.URL+`"
routes: [{ name: open, match: /open, public: for a test, upstream: dead }]
upstreams: { dead: { targets: [{ url: "http://127.0.0.1:1" }] } }
`)
	for _, id := range []string{"a", "b", "c"} {
		r.manage(http.MethodPost, "/v1/consumers", `{"id":"`+id+`"}`, nil)
	}
	code, text := stileTells(t, r, "audit", "verify")
	if code != 0 || !strings.Contains(text, "6 entries, unbroken") {
		t.Fatalf("exit %d: %s", code, text)
	}
	head := text[strings.LastIndex(text, "\n6:")+1 : len(text)-1]

	r.manage(http.MethodPost, "/v1/consumers", `{"id":"d"}`, nil)
	if code, text := stileTells(t, r, "audit", "verify", "--known", head); code != 0 {
		t.Errorf("the chain does not go through its head of before: exit %d: %s", code, text)
	}
	if err := db.XDel(t.Context(), "stile:{sys}:audit", "3-0").Err(); err != nil {
		t.Fatal(err)
	}
	if code, text := stileTells(t, r, "audit", "verify"); code != exitFailed || !strings.Contains(text, "the audit is broken at entry 3: entry 3 is missing: entry 4 stands in its place") {
		t.Errorf("exit %d: %s", code, text)
	}
	if code, text := stileTells(t, r, "audit", "verify", "-o", "json"); code != exitFailed || !strings.Contains(text, `"ok":false`) || !strings.Contains(text, `"seq":3,"problem":"entry 3 is missing`) {
		t.Errorf("exit %d: %s", code, text)
	}
	// The whole chain made anew is unbroken; only a head that was kept elsewhere tells.
	if err := db.Del(t.Context(), "stile:{sys}:audit", "stile:{sys}:audit:head").Err(); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b", "c"} {
		r.manage(http.MethodDelete, "/v1/consumers/"+id, "", nil)
	}
	if code, text := stileTells(t, r, "audit", "verify"); code != 0 {
		t.Errorf("exit %d: %s", code, text)
	}
	if code, text := stileTells(t, r, "audit", "verify", "--known", head); code != exitFailed || !strings.Contains(text, "entry 6 is not the one that was known") {
		t.Errorf("exit %d: %s", code, text)
	}
	server.Kill()
	if a := r.manage(http.MethodPost, "/v1/consumers", `{"id":"e"}`, nil); a.status != http.StatusServiceUnavailable {
		t.Errorf("without the audit: %d %s", a.status, a.body)
	}
}

// tail -f goes on with what comes.
func TestAuditTailFollows(t *testing.T) {
	r := start(t, `
listen: { auth: "@AUTH@", proxy: "@PROXY@", admin: "@ADMIN@" }
trust: [127.0.0.0/8]
routes: [{ name: open, match: /open, public: for a test, upstream: dead }]
upstreams: { dead: { targets: [{ url: "http://127.0.0.1:1" }] } }
`)
	t.Setenv("STILE_ADMIN", r.admin)
	t.Setenv("STILE_TOKEN", adminToken)
	out := &lockedBuffer{}
	root := newRoot()
	root.SetArgs([]string{"audit", "tail", "-f"})
	root.SetOut(out)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- root.ExecuteContext(ctx) }()
	r.until("headed", func() bool { return strings.Contains(out.String(), "SEQ") })
	r.manage(http.MethodPost, "/v1/consumers", `{"id":"late"}`, nil)
	r.until("followed", func() bool { return strings.Contains(out.String(), "done     late") })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if heads := strings.Count(out.String(), "SEQ"); heads != 1 {
		t.Errorf("%d heads:\n%s", heads, out)
	}
}
