package authsvc

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
)

// everyCall is each call of the API once, on things that are not there.
func everyCall() map[string]string {
	return map[string]string{
		"GET /v1/consumers": "", "POST /v1/consumers": `{"id":"new"}`, "GET /v1/consumers/nobody": "", "PUT /v1/consumers/nobody": `{"username":"x"}`,
		"DELETE /v1/consumers/nobody": "", "GET /v1/keys": "", "GET /v1/keys?consumer=nobody": "", "POST /v1/keys": `{"consumer":"nobody"}`,
		"GET /v1/keys/none": "", "DELETE /v1/keys/none": "", "DELETE /v1/keys/none?wait=1s": "",
		"PUT /v1/keys/none": `{"name":"x"}`, "POST /v1/keys/none/rotate": `{"overlap":"1h"}`, "POST /v1/explain": `{"method":"GET","url":"/open/x"}`,
		"POST /v1/tokens/revoke": `{"issuer":"` + issuer + `","jti":"x"}`, "GET /v1/audit": "", "GET /v1/audit?after=1&limit=2": "",
	}
}

func TestEveryCallWantsTheToken(t *testing.T) {
	const good = "Authorization: Bearer " + adminToken
	a := administrate(t, nil)
	calls := everyCall()
	for _, line := range []string{"GET /v1/", "GET /v1/nothing", "PATCH /v1/consumers", "OPTIONS /v1/keys", "OPTIONS *", "GET /debug/pprof/", "GET /debug/pprof/profile?seconds=1", "GET /", "GET //v1/keys", "GET /v1/../v1/keys"} {
		calls[line] = ""
	}
	for line, body := range calls {
		for what, fields := range map[string][]string{
			"none": nil, "an empty one": {"Authorization:"}, "the scheme alone": {"Authorization: Bearer"}, "an empty token": {"Authorization: Bearer "},
			"another token": {good + "x"}, "a beginning of it": {good[:len(good)-1]}, "it in capitals": {strings.ToUpper(good)}, "two spaces": {"Authorization: Bearer  " + adminToken},
			"another scheme": {"Authorization: Basic " + adminToken}, "no scheme": {"Authorization: " + adminToken}, "twice": {good, good}, "a wrong one as well": {good, "Authorization: Bearer x"},
			"in a list": {good + ", Bearer x"}, "in another header": {"Proxy-Authorization: Bearer " + adminToken, "X-Admin-Token: " + adminToken}, "in a cookie": {"Cookie: token=" + adminToken},
			"its hash": {fmt.Sprintf("Authorization: Bearer sha256:%x", HashToken(policy.NewSecret(adminToken)))},
		} {
			resp := a.raw(t, line, body, append(fields, "Content-Type: application/json")...)
			if resp.Status != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") != `Bearer realm="stile admin"` {
				t.Errorf("%s with %s: %d %v", line, what, resp.Status, resp.Header)
			}
		}
		if line == "OPTIONS *" { // has no query
			continue
		}
		resp := a.raw(t, line+map[bool]string{true: "&", false: "?"}[strings.Contains(line, "?")]+"token="+adminToken+"&access_token="+adminToken, body)
		if resp.Status != http.StatusUnauthorized {
			t.Errorf("%s with the token in the query: %d", line, resp.Status)
		}
	}
	if list := a.want(t, http.StatusOK, "GET /v1/consumers", ""); !slices.Equal(ids(list["consumers"]), []string{"declared"}) {
		t.Errorf("without the token, something was made: %v", list)
	}
	// The scheme's case is free (RFC 9110 §11.1), the token's is not.
	if resp := a.raw(t, "GET /v1/keys", "", "authorization: bearer "+adminToken); resp.Status != http.StatusOK {
		t.Errorf("with bearer in small letters: %d", resp.Status)
	}
}

func TestWithoutATokenConfiguredEverythingIsRefused(t *testing.T) {
	a := administrate(t, func(api *Admin) { api.Tokens = nil })
	for line, body := range everyCall() {
		for _, token := range []string{adminToken, "", " ", "x"} {
			resp := a.raw(t, line, body, "Authorization: Bearer "+token, "Content-Type: application/json")
			if resp.Status != http.StatusUnauthorized || !strings.Contains(resp.Body, "no admin token is configured") {
				t.Errorf("%s with %q: %d %s", line, token, resp.Status, resp.Body)
			}
		}
	}
}

func TestEachConfiguredTokenIsTaken(t *testing.T) {
	hash, ok := ParseTokenHash(policy.PlainKeyHash(policy.NewSecret("from the file")))
	if !ok {
		t.Fatal("the hash of a token is not read")
	}
	a := administrate(t, func(api *Admin) { api.Tokens = append(api.Tokens, hash, hash) }) // one of them twice
	for token, want := range map[string]int{adminToken: 200, "from the file": 200, "fromthefile": 401, "": 401} {
		if resp := a.raw(t, "GET /v1/keys", "", "Authorization: Bearer "+token); resp.Status != want {
			t.Errorf("with %q: %d, want %d", token, resp.Status, want)
		}
	}
	for _, text := range []string{"", "sha256:", strings.Repeat("ab", 32), "sha512:" + strings.Repeat("ab", 32), "sha256:" + strings.Repeat("ab", 31), "sha256:" + strings.Repeat("ab", 33), "sha256:" + strings.Repeat("zz", 32), "sha256:" + strings.Repeat("ab", 32) + "a"} {
		if readsAsHash(t, text) {
			t.Errorf("%.80q is read as the hash of a token", text)
		}
	}
}

// readsAsHash is ParseTokenHash; that it panics is a failure of its own, not of all tests.
func readsAsHash(t *testing.T, text string) (ok bool) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("ParseTokenHash(%.80q) panics: %v", text, r)
		}
	}()
	_, ok = ParseTokenHash(text)
	return ok
}

func TestAConsumersLife(t *testing.T) {
	a := administrate(t, nil)
	made := a.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"acme","username":"Acme Ltd","custom_id":"42","groups":["partners"]}`)
	want := map[string]any{
		"id": "acme", "username": "Acme Ltd", "custom_id": "42", "groups": []any{"partners"}, "version": 1.0,
		"created": "2026-03-01T12:00:00Z", "updated": "2026-03-01T12:00:00Z",
	}
	same := func(what string, got map[string]any) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	same("made", made)
	same("shown", a.want(t, http.StatusOK, "GET /v1/consumers/acme", ""))
	changed := a.want(t, http.StatusOK, "PUT /v1/consumers/acme", `{"username":"Acme Inc","groups":["staff","partners"],"disabled":true,"version":1}`)
	delete(want, "custom_id") // the whole consumer is replaced
	maps.Copy(want, map[string]any{"username": "Acme Inc", "groups": []any{"staff", "partners"}, "disabled": true, "version": 2.0})
	same("changed", changed)
	same("shown", a.want(t, http.StatusOK, "GET /v1/consumers/acme", ""))
	if list := a.want(t, http.StatusOK, "GET /v1/consumers", ""); !slices.Equal(ids(list["consumers"]), []string{"declared", "acme"}) || list["next"] != nil {
		t.Errorf("listed: %v", list)
	}
	a.want(t, http.StatusNoContent, "DELETE /v1/consumers/acme", "")
	a.want(t, http.StatusNotFound, "GET /v1/consumers/acme", "")
	a.want(t, http.StatusNotFound, "DELETE /v1/consumers/acme", "")
	a.want(t, http.StatusNotFound, "PUT /v1/consumers/acme", `{"username":"x"}`)
}

func TestAKeyIsShownOnceAndItsHashNever(t *testing.T) {
	for what, pepper := range map[string]policy.Pepper{"no pepper": {}, "a pepper": {Version: 3, Secret: policy.NewSecret("sixteen-bytes-or-more")}} {
		a := administrate(t, func(api *Admin) { api.Pepper = pepper })
		a.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"acme"}`)
		before := len(a.seen)
		made := a.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"acme","name":"laptop","scopes":["orders:read"],"expires_at":"2027-01-01T00:00:00Z"}`)
		text, _ := made["key"].(string)
		id, err := policy.KeyFormat{}.Parse(text)
		if err != nil || made["id"] != id || made["consumer"] != "acme" || made["name"] != "laptop" || made["expires_at"] != "2027-01-01T00:00:00Z" || made["created"] != "2026-03-01T12:00:00Z" {
			t.Fatalf("%s: made %v (%v)", what, made, err)
		}
		creation := a.seen[before]
		a.seen = slices.Delete(a.seen, before, before+1)
		delete(made, "key")
		if shown := a.want(t, http.StatusOK, "GET /v1/keys/"+id, ""); fmt.Sprint(shown) != fmt.Sprint(made) {
			t.Errorf("%s: shown %v, made %v", what, shown, made)
		}
		if list := a.want(t, http.StatusOK, "GET /v1/keys", ""); !slices.Equal(ids(list["keys"]), []string{"dk1", id}) {
			t.Errorf("%s: listed %v", what, list)
		}
		if list := a.want(t, http.StatusOK, "GET /v1/keys?consumer=acme", ""); !slices.Equal(ids(list["keys"]), []string{id}) {
			t.Errorf("%s: listed for acme %v", what, list)
		}
		a.want(t, http.StatusOK, "POST /v1/explain", `{"method":"GET","url":"http://app.test/v1/orders?key=`+text+`","header":{"X-Api-Key":["`+text+`"]}}`)
		a.want(t, http.StatusOK, "GET /v1/consumers/acme", "")
		a.want(t, http.StatusOK, "GET /v1/keys/dk1", "")
		a.want(t, http.StatusBadRequest, "GET /v1/keys/"+text[:40], "")
		a.want(t, http.StatusNoContent, "DELETE /v1/keys/"+id, "")
		a.want(t, http.StatusNotFound, "DELETE /v1/keys/"+id, "")
		a.want(t, http.StatusNotFound, "GET /v1/keys/"+id, "")
		secret := text[len("stile_")+10:]
		hash := pepper.HashKey(policy.NewSecret(text))
		for _, answer := range a.seen {
			if strings.Contains(answer, secret) {
				t.Errorf("%s: shown again: %s", what, answer)
			}
		}
		for _, answer := range append(a.seen, creation, a.logged.String()) {
			for _, part := range []string{hash, hash[strings.LastIndexByte(hash, ':')+1:], declaredHash, declaredHash[7:], "sha256:", `"hash"`} {
				if strings.Contains(answer, part) {
					t.Errorf("%s: %q stands in %s", what, part, answer)
				}
			}
		}
		if strings.Contains(a.logged.String(), secret) {
			t.Errorf("%s: the key stands in the log", what)
		}
	}
}

// A dry run takes the very path of a request, and shows no credential.
func TestExplainAsksTheDecider(t *testing.T) {
	w := engine(t)
	a := administrate(t, func(api *Admin) { api.Decider = w })
	for body, want := range map[string]string{
		`{"method":"GET","url":"/open/x?a=1"}`:                                                                    "ok GET http://localhost/open/x from 127.0.0.1",
		`{"method":"GET","url":"/open/x?next=https://app.test/v1/x"}`:                                             "ok GET http://localhost/open/x from 127.0.0.1",
		`{"method":"GET","url":"https://APP.test/open/%78","client_ip":"192.0.2.7"}`:                              "ok GET https://app.test/open/x from 192.0.2.7",
		`{"method":"GET","url":"/open/x","header":{"host":["app.test"]}}`:                                         "ok GET http://app.test/open/x from 127.0.0.1",
		`{"method":"HEAD","url":"http://app.test/v1/x","header":{"x-api-key":["good"]}}`:                          "ok HEAD http://app.test/v1/x from 127.0.0.1",
		`{"method":"GET","url":"http://app.test/v1/x","header":{"x-api-key":["S3cret"]}}`:                         "bad_credential GET http://app.test/v1/x from 127.0.0.1",
		`{"method":"GET","url":"http://app.test/v1/x"}`:                                                           "no_credential GET http://app.test/v1/x from 127.0.0.1",
		`{"method":"GET","url":"http://app.test"}`:                                                                "no_route GET http://app.test/ from 127.0.0.1",
		`{"method":"GET","url":"http://app.test/open/../v1"}`:                                                     "bad_request GET http://app.test from 127.0.0.1",
		`{"method":"GET","url":"http://app.test//open/x"}`:                                                        "bad_request GET http://app.test from 127.0.0.1",
		`{"method":"GET","url":"http://app.test/open/x","header":{"X-Consumer-Id":["admin"]}}`:                    "bad_request GET http://app.test/open/x from 127.0.0.1",
		`{"method":"get","url":"http://app.test/open/x"}`:                                                         "bad_request get http://app.test/open/x from 127.0.0.1",
		`{"method":"GET","url":"http://app.test/v1/x","header":{"X-Api-Key":["good"],"x-api-key":["S3cret"]}}`:    "bad_request GET http://app.test/v1/x from 127.0.0.1",
		`{"method":"GET","url":"http://app.test/v1/x?k=S3cret","header":{"Authorization":["Bearer S3cret","x"]}}`: "no_credential GET http://app.test/v1/x from 127.0.0.1",
	} {
		told := a.want(t, http.StatusOK, "POST /v1/explain", body)
		asked := w.take()
		if len(asked) != 1 {
			t.Fatalf("%s: the decider was asked %d times", body, len(asked))
		}
		r := asked[0]
		got := fmt.Sprintf("%v %s %s://%s%s from %s", told["reason"], r.Method, r.Scheme, r.Host, r.Path, r.ClientIP)
		if got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
		if text := fmt.Sprint(told); strings.Contains(text, "S3cret") {
			t.Errorf("%s: %s", body, text)
		}
	}
}

// This process forgets at once what a call changed; others do when their caches ask again.
func TestAChangeCountsAtOnce(t *testing.T) {
	a := administrate(t, nil)
	a.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"acme"}`)
	found := func(key string) string {
		t.Helper()
		c, err := a.cache.Identify(t.Context(), policy.NewSecret(key))
		switch {
		case err != nil:
			t.Fatal(err)
		case c == nil:
			return "nobody"
		case c.Consumer.Disabled:
			return "disabled"
		}
		return c.ID
	}
	made := a.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"acme"}`)
	other := a.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"acme"}`)
	key, id := made["key"].(string), made["id"].(string)
	for _, step := range []struct{ line, body, want string }{
		{"GET /v1/consumers/acme", "", id},
		{"PUT /v1/consumers/acme", `{"disabled":true}`, "disabled"},
		{"PUT /v1/consumers/acme", `{"disabled":false}`, id},
		{"DELETE /v1/keys/" + id, "", "nobody"},
	} {
		a.call(t, step.line, step.body)
		if got := found(key); got != step.want {
			t.Errorf("after %s %s, the key is of %s, want %s", step.line, step.body, got, step.want)
		}
	}
	if got := found(other["key"].(string)); got != other["id"] {
		t.Errorf("another key of the same consumer is of %s", got)
	}
	a.want(t, http.StatusNoContent, "DELETE /v1/consumers/acme", "")
	if got := found(other["key"].(string)); got != "nobody" {
		t.Errorf("with its consumer deleted, the key is of %s", got)
	}
}

// What the file declares is shown with the rest, and changed nowhere but there.
func TestWhatTheFileDeclaresIsReadOnly(t *testing.T) {
	a := administrate(t, nil)
	consumer := a.want(t, http.StatusOK, "GET /v1/consumers/declared", "")
	key := a.want(t, http.StatusOK, "GET /v1/keys/dk1", "")
	for line, body := range map[string]string{
		"POST /v1/consumers": `{"id":"declared"}`, "PUT /v1/consumers/declared": `{"groups":["admins"]}`, "DELETE /v1/consumers/declared": "",
		"POST /v1/keys": `{"consumer":"declared"}`, "DELETE /v1/keys/dk1": "", "PUT /v1/keys/dk1": `{"name":"x"}`,
		"POST /v1/keys/dk1/rotate": `{"overlap":"1h"}`, "DELETE /v1/keys/dk1?wait=1s": "",
	} {
		if problem := a.want(t, http.StatusConflict, line, body); !strings.Contains(fmt.Sprint(problem["detail"]), "declared in the configuration file") {
			t.Errorf("%s: %v", line, problem)
		}
	}
	after := a.want(t, http.StatusOK, "GET /v1/consumers/declared", "")
	if consumer["declared"] != true || key["declared"] != true || fmt.Sprint(after) != fmt.Sprint(consumer) {
		t.Errorf("%v and %v, later %v", consumer, key, after)
	}
	if list := a.want(t, http.StatusOK, "GET /v1/keys?consumer=declared", ""); !slices.Equal(ids(list["keys"]), []string{"dk1"}) {
		t.Errorf("keys of the declared one: %v", list)
	}
}
