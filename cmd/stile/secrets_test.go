package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stile-gate/stile/cmd/stile/config"
	"github.com/stile-gate/stile/policy"
)

// generated is a key with its id and the hash to declare.
func generated(t *testing.T) (id, key, hash string) {
	t.Helper()
	id, secret := policy.KeyFormat{}.New()
	return id, secret.Reveal(), policy.PlainKeyHash(secret)
}

// Nothing secret stands in any log at any level, in an error, or in an explanation.
func TestSecretsStayOut(t *testing.T) {
	id, key, hash := generated(t)
	const pepper, issuer = "pepper-pepper-pepper", "https://127.0.0.1:1"
	r := start(t, `
listen: { auth: "@AUTH@", proxy: "@PROXY@", admin: "@ADMIN@" }
trust: [127.0.0.0/8]
log: { level: debug }
keys: { pepper: { version: 1, secret: "`+pepper+`" } }
authenticators:
  partner: { api_key: { header: X-API-Key } }
  staff: { jwt: { issuer: "https://id.example.com", audience: orders, jwks_file: "`+emptyKeySet(t)+`" } }
routes:
  - { name: open, match: GET /open, public: for a test, upstream: dead }
  - { name: closed, match: GET /closed, authenticate: [partner, staff], upstream: dead }
  - { name: groups, match: GET /groups, authenticate: [partner, staff], require: { groups: [none] }, upstream: dead }
upstreams: { dead: { targets: [{ url: "http://127.0.0.1:1" }] } }
consumers: [{ id: acme, keys: [{ id: "`+id+`", hash: "`+hash+`" }] }]
`)
	token := "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ." + "eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIn0" + ".c2VjcmV0LXNpZ25hdHVyZQ"
	unknown := mistype(key)
	var created struct{ Key string }
	r.manage(http.MethodPost, "/v1/consumers", `{"id":"umbrella"}`, nil)
	r.manage(http.MethodPost, "/v1/keys", `{"consumer":"umbrella"}`, &created)
	if created.Key == "" {
		t.Fatal("no key was created")
	}
	secrets := []string{key, unknown, created.Key, token, adminToken, pepper, hash, "query-secret", "cookie-secret", "basic-secret"}

	var told []string // all that anybody is told
	for _, credential := range [][]string{
		{"X-API-Key", key},
		{"X-API-Key", unknown},
		{"X-API-Key", created.Key},
		{"Authorization", "Bearer " + token},
		{"Authorization", "Bearer " + token + " " + key},
		{"Authorization", "Basic basic-secret"},
		{"X-API-Key", key, "X-API-Key", created.Key},
		{"Cookie", "session=cookie-secret", "X-Consumer-ID", key},
		{"X_API_Key", key},
		{"X-Request-Id", key},
		{"X-Consumer-" + key, "x"},
	} {
		for _, path := range []string{"/" + key, "/closed/" + key + "/x", "/open?token=query-secret", "/closed?token=query-secret", "/groups", "/none", "/..;/closed"} {
			answers := []answer{
				r.ask(path, credential...),
				r.get(r.proxy+path, credential...),
				r.get(r.auth+"/auth/nginx", append([]string{"X-Original-URI", path}, credential...)...),
			}
			for _, a := range answers {
				if a.status != http.StatusOK { // an allowed answer carries the identity, to the edge
					told = append(told, a.body)
				}
				for _, values := range a.header {
					told = append(told, values...)
				}
			}
			question, err := json.Marshal(map[string]any{"method": "GET", "url": path, "header": pairs(credential)})
			if err != nil {
				t.Fatal(err)
			}
			told = append(told, r.manage(http.MethodPost, "/v1/explain", string(question), nil).body)
		}
	}
	told = append(told, r.manage(http.MethodGet, "/v1/keys", "", nil).body, r.manage(http.MethodGet, "/v1/consumers", "", nil).body)
	told = append(told, r.get(r.admin+"/metrics").body, r.get(r.admin+"/readyz").body)
	for _, body := range []string{`{"consumer":"` + key + `"}`, `{"nme":"` + key + `"}`, `{"` + key + `":1}`, `{"id":"` + key + `"}`, `{"id":"x","username":"` + key + `"}`} {
		for _, path := range []string{"/v1/keys", "/v1/consumers", "/v1/explain"} {
			if a := r.manage(http.MethodPost, path, body, nil); a.status != http.StatusBadRequest {
				t.Errorf("%s %s: %d", path, body, a.status)
			} else {
				told = append(told, a.body)
			}
		}
	}
	told = append(told, r.manage(http.MethodDelete, "/v1/keys/"+key, "", nil).body, r.manage(http.MethodGet, "/v1/audit", "", nil).body)
	r.stop()
	told = append(told, r.log.String())
	if !strings.Contains(r.log.String(), `"msg":"decision"`) {
		t.Fatal("there is no decision in the log: this test would see nothing")
	}
	for _, text := range told {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%q is told: %.300s", secret, text)
			}
		}
	}
}

func pairs(list []string) http.Header {
	h := http.Header{}
	for i := 0; i < len(list); i += 2 {
		h.Add(list[i], list[i+1])
	}
	return h
}

// mistype makes an unknown key of a known one: of its form, with a good checksum.
func mistype(string) string {
	_, other := policy.KeyFormat{}.New()
	return other.Reveal()
}

func emptyKeySet(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "jwks.json")
	const set = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","use":"sig","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
	if err := os.WriteFile(file, []byte(set), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConfigErrorsTellNoSecret(t *testing.T) {
	const password = "sesame-sesame-sesame"
	for _, text := range []string{
		"store: \"redis://app:" + password + "@[::1/0\"\n",
		"store: \"redis://app:" + password + "@host:port/0\"\n",
		"store: \"redsi://app:" + password + "@host/0\"\n",
		"store: \"redis://app:" + url.QueryEscape(password) + "@host/0?x=y\"\n",
		"keys: { pepper: { version: x, secret: \"" + password + "\" } }\n",
		"keys: { pepper: { version: 1, secret: [\"" + password + "\"] } }\n",
		"keys: { pepper: { version: 1, secret: \"${NO_SUCH_" + "VARIABLE}" + password + "\" } }\n",
	} {
		c, problems := config.Parse("stile.yaml", []byte("listen: { auth: 127.0.0.1:1 }\ntrust: [127.0.0.0/8]\nroutes: [{ name: a, match: /a, public: b }]\n"+text), nil)
		err := problems.Err()
		if err == nil {
			_, err = openStore(c.Store.Reveal(), nil)
		}
		if err == nil {
			t.Errorf("loads: %s", text)
			continue
		}
		if strings.Contains(problems.Error()+err.Error(), password) {
			t.Errorf("tells the secret: %v %v", problems, err)
		}
	}
}
