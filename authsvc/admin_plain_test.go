package authsvc

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
)

// silent holds that no answer, no entry of the audit and no log has a text.
func (a *administration) silent(t *testing.T, audit *failingAudit, text string) {
	t.Helper()
	for _, told := range append(append(a.seen, audit.lines(t, 0)...), a.logged.String()) {
		if strings.Contains(told, text) {
			t.Errorf("%.12s… is told: %.300s", text, told)
		}
	}
}

// A key that stands where an id, a name or a group belongs would be in lists and logs for ever.
func TestAKeyIsTakenForNothingElse(t *testing.T) {
	a, audit := auditedCalls(t, nil)
	a.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"acme"}`)
	id := a.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"acme"}`)["id"].(string)
	_, whole := policy.KeyFormat{}.New()
	key := whole.Reveal()
	for _, text := range []string{key, "the key " + key, key[:len(key)-1], "%73tile_" + key[len("stile_"):]} {
		for _, call := range [][2]string{
			{"POST /v1/consumers", `{"id":%q}`},
			{"POST /v1/consumers", `{"id":"x","username":%q}`},
			{"POST /v1/consumers", `{"id":"x","custom_id":%q}`},
			{"POST /v1/consumers", `{"id":"x","groups":["a",%q]}`},
			{"POST /v1/consumers", `{"id":"x","colour":%q}`},
			{"POST /v1/consumers", `{"id":"x",%q:1}`},
			{"POST /v1/consumers", `{"id":"x",%[1]q:1,%[1]q:1}`},
			{"PUT /v1/consumers/acme", `{"username":%q}`},
			{"POST /v1/keys", `{"consumer":%q}`},
			{"POST /v1/keys", `{"consumer":"acme","name":%q}`},
			{"POST /v1/keys", `{"consumer":"acme","scopes":[%q]}`},
			{"POST /v1/keys", `{"consumer":"acme","limits":[%q]}`},
			{"POST /v1/keys", `{"consumer":"acme","networks":[%q]}`},
			{"POST /v1/keys", `{"consumer":"acme","expires_at":%q}`},
			{"POST /v1/keys", `{"consumer":"acme","hash":%q}`},
			{"POST /v1/keys", `{"consumer":"acme","opaque":true,"key":"of-another-system","id":%q}`},
			{"PUT /v1/keys/" + id, `{"name":%q}`},
			{"POST /v1/keys/" + id + "/rotate", `{"overlap":"1h","name":%q}`},
			{"POST /v1/keys/" + id + "/rotate", `{"overlap":%q}`},
			{"POST /v1/tokens/revoke", `{"issuer":%q,"jti":"a"}`},
			{"POST /v1/explain", `{"method":"GET","url":%q}`},
		} {
			a.want(t, http.StatusBadRequest, call[0], fmt.Sprintf(call[1], text))
		}
		for _, line := range []string{"GET /v1/keys?consumer=", "GET /v1/keys?after=", "GET /v1/consumers?after="} {
			a.want(t, http.StatusBadRequest, line+url.QueryEscape(text), "")
		}
		for _, line := range []string{"GET /v1/keys/%s", "DELETE /v1/keys/%s", "GET /v1/consumers/%s", "DELETE /v1/consumers/%s"} {
			a.want(t, http.StatusBadRequest, fmt.Sprintf(line, url.PathEscape(text)), "")
		}
	}
	keyID, _ := policy.KeyFormat{}.Parse(key)
	if problem := a.want(t, http.StatusBadRequest, "DELETE /v1/keys/"+key, ""); problem["detail"] != "the path: that is a whole key; give its id, which is "+keyID {
		t.Errorf("told: %v", problem)
	}
	a.silent(t, audit, key[len("stile_")+10:len(key)-1])
	if list := a.want(t, http.StatusOK, "GET /v1/consumers", ""); len(ids(list["consumers"])) != 2 {
		t.Errorf("something was made: %v", list)
	}
	// What a token says is its issuer's to choose, and is hashed.
	a.want(t, http.StatusNoContent, "POST /v1/tokens/revoke", fmt.Sprintf(`{"issuer":%q,"jti":%q}`, issuer, key))
}

// A key of another system can read like an id. Where an id is asked, it stays out of the audit.
func TestAForeignKeyStaysOutOfTheAudit(t *testing.T) {
	a, audit := auditedCalls(t, nil)
	const legacy = "AKIA-legacy.key_of-acme"
	a.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"acme-partners"}`)
	a.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"acme-partners","opaque":true,"key":"`+legacy+`"}`)
	a.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"acme-partners","id":"imported-1","hash":"sha256:`+strings.Repeat("cd", 32)+`"}`)
	a.want(t, http.StatusNotFound, "DELETE /v1/keys/"+legacy, "")
	a.want(t, http.StatusNotFound, "PUT /v1/keys/"+legacy, `{}`)
	a.want(t, http.StatusNotFound, "POST /v1/keys/"+legacy+"/rotate", `{"overlap":"1h"}`)
	a.want(t, http.StatusNotFound, "DELETE /v1/consumers/"+legacy, "")
	a.want(t, http.StatusNotFound, "POST /v1/keys", `{"consumer":"`+legacy+`"}`)
	for _, line := range audit.lines(t, 0) {
		if strings.Contains(line, legacy) {
			t.Error(line)
		}
	}
	if got := audit.lines(t, 6)[0]; got != "7 key.revoke AKIA… attempt " {
		t.Errorf("what is left: %q", got)
	}
	// What is there is named whole, and so is what was made here and is gone.
	before := len(audit.lines(t, 0))
	a.want(t, http.StatusNoContent, "DELETE /v1/keys/imported-1", "")
	a.want(t, http.StatusNotFound, "DELETE /v1/keys/k7Qd02mfPa", "")
	a.want(t, http.StatusNoContent, "DELETE /v1/consumers/acme-partners", "")
	for i, want := range []string{"key.revoke imported-1 attempt", "key.revoke imported-1 done", "key.revoke k7Qd02mfPa attempt", "key.revoke k7Qd02mfPa refused", "consumer.delete acme-partners attempt", "consumer.delete acme-partners done"} {
		if got := audit.lines(t, before)[i]; !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	// Nor can it be its own id or name, or that of the hash that was sent.
	for _, fields := range []string{
		`"opaque":true,"key":"` + legacy + `x","id":"` + legacy + `x"`, `"opaque":true,"key":"` + legacy + `x","name":"was ` + legacy + `x"`,
		`"opaque":true,"key":"` + legacy + `x","groups":["` + legacy + `x"]`, `"hash":"` + policy.PlainKeyHash(policy.NewSecret("spoken-of")) + `","id":"spoken-of"`,
	} {
		a.want(t, http.StatusBadRequest, "POST /v1/keys", `{"consumer":"declared",`+fields+`}`)
	}
	a.silent(t, audit, legacy+"x\"") // but in an id of its own making
}

// A store that fails names what it was asked for, and the log keeps what it says.
func TestAForeignKeyStaysOutOfTheLog(t *testing.T) {
	const legacy = "AKIA-legacy.key_of-acme"
	a := administrate(t, func(api *Admin) { api.Keys = down{fmt.Errorf("look up key %q: %w", legacy, errors.New("timeout"))} })
	a.want(t, http.StatusServiceUnavailable, "DELETE /v1/keys/"+legacy, "")
	if log := a.logged.String(); strings.Contains(log, legacy) || !strings.Contains(log, "AKIA…") {
		t.Error(log)
	}
}

// What would become U+FFFD is refused: two different names would be the same afterwards.
func TestABodyIsUnicode(t *testing.T) {
	a := administrate(t, nil)
	for _, text := range []string{`\ud800`, `\udc00`, `a\ud800b`, `\ud800\ud800`, "\xff", "\xc0\xaf", "\xed\xa0\x80"} {
		a.want(t, http.StatusBadRequest, "POST /v1/consumers", `{"id":"x","username":"`+text+`"}`)
		a.want(t, http.StatusBadRequest, "POST /v1/consumers", `{"id":"x","groups":["a","`+text+`"]}`)
		a.want(t, http.StatusBadRequest, "POST /v1/explain", `{"method":"GET","url":"/","header":{"X-`+text+`":["a"]}}`)
	}
	made := a.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"x","username":"\ud83d\ude00 \ufffd \\ud800"}`)
	if made["username"] != "\U0001F600 \uFFFD \\ud800" {
		t.Errorf("made: %v", made)
	}
}

// An element that stands twice was meant to be another one.
func TestAListSaysNothingTwice(t *testing.T) {
	a := administrateKeys(t)
	id := a.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"acme"}`)["id"].(string)
	for _, field := range []string{
		`"groups":["a","b","a"]`, `"scopes":["a","a"]`, `"routes":["orders","orders"]`, `"limits":["burst","burst"]`, `"networks":["192.0.2.0/24","192.0.2.0/24"]`, `"networks":["2001:db8::/32","2001:0DB8::/32"]`,
	} {
		for _, call := range [][2]string{{"POST /v1/keys", `"consumer":"acme",`}, {"PUT /v1/keys/" + id, ""}} {
			problem := a.want(t, http.StatusBadRequest, call[0], "{"+call[1]+field+"}")
			if !strings.Contains(fmt.Sprint(problem["detail"]), "]: the same as ") {
				t.Errorf("%s: %v", field, problem)
			}
		}
	}
	a.want(t, http.StatusBadRequest, "POST /v1/consumers", `{"id":"x","groups":["a","a"]}`)
	a.want(t, http.StatusBadRequest, "PUT /v1/consumers/acme", `{"groups":["a","a"]}`)
	for _, version := range []string{"-1", "1"} {
		problem := a.want(t, http.StatusBadRequest, "POST /v1/consumers", `{"id":"x","version":`+version+`}`)
		if !strings.Contains(fmt.Sprint(problem["detail"]), "version: is for an update") {
			t.Errorf("version %s: %v", version, problem)
		}
	}
	a.want(t, http.StatusBadRequest, "POST /v1/keys", `{"consumer":"acme","version":-1}`)
}
