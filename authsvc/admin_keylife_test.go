package authsvc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
)

// bounds are all that can be said of a key.
const bounds = `"name":"nightly","scopes":["orders:read"],"groups":["beta"],"routes":["orders"],"networks":["192.0.2.0/24","2001:db8::/32"],` +
	`"limits":["burst"],"not_before":"2026-03-01T13:00:00Z","expires_at":"2026-06-01T00:00:00Z","disabled":true`

func administrateKeys(t *testing.T) *administration {
	t.Helper()
	a := administrate(t, func(api *Admin) { api.Routes, api.Limits = []string{"orders", "admin"}, []string{"burst"} })
	a.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"acme"}`)
	return a
}

func (a *administration) identify(t *testing.T, text any) *policy.Identity {
	t.Helper()
	found, err := a.cache.Identify(t.Context(), policy.NewSecret(fmt.Sprint(text)))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAKeyIsBoundAndChanged(t *testing.T) {
	a := administrateKeys(t)
	made := a.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"acme",`+bounds+`}`)
	found := a.identify(t, made["key"])
	if made["version"] != 1.0 || found == nil || !found.Disabled || fmt.Sprint(found.Groups, found.Routes, found.Networks, found.Limits) != "[beta] [orders] [192.0.2.0/24 2001:db8::/32] [burst]" {
		t.Errorf("made %v, found %+v", made, found)
	}
	path := "/v1/keys/" + made["id"].(string)
	shown := a.want(t, http.StatusOK, "GET "+path, "")
	delete(made, "key")
	if fmt.Sprint(shown) != fmt.Sprint(made) {
		t.Errorf("shown %v, made %v", shown, made)
	}
	changed := a.want(t, http.StatusOK, "PUT "+path, `{"name":"by day","routes":["admin"],"version":1}`)
	if changed["version"] != 2.0 || changed["name"] != "by day" || changed["scopes"] != nil || changed["disabled"] != nil || changed["consumer"] != "acme" || changed["created"] != made["created"] {
		t.Errorf("changed: %v", changed)
	}
	a.want(t, http.StatusConflict, "PUT "+path, `{"name":"late","version":1}`)
	a.want(t, http.StatusConflict, "PUT "+path, `{"name":"late","version":-1}`)
	if again := a.want(t, http.StatusOK, "PUT "+path, `{}`); again["version"] != 3.0 || again["name"] != nil {
		t.Errorf("whatever is there: %v", again)
	}
	a.want(t, http.StatusNotFound, "PUT /v1/keys/none", `{}`)
}

func TestAKeyThatCannotBeIsRefusedWhole(t *testing.T) {
	a := administrateKeys(t)
	made := a.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"acme","name":"as it was"}`)
	long := strings.Repeat("x", 1<<20)
	for field, say := range map[string]string{
		`"routes":["ordrs"]`: `no route "ordrs"`, `"routes":["orders","x"],"limits":["y"]`: `no limit "y"`, `"limits":["brst"]`: `no limit "brst"`,
		`"networks":["10.0.0.1/8"]`: "networks[0]", `"networks":["10.0.0.0"]`: "no '/'", `"networks":["10.0.0.0/33"]`: "body", `"networks":"10.0.0.0/8"`: "body",
		`"networks":["::ffff:10.0.0.0/104"]`: "networks[0]", `"groups":["a,b"]`: "groups[0]", `"groups":[1]`: "body", `"scopes":"x"`: "body", `"disabled":"yes"`: "body",
		`"not_before":"2026-07-01T00:00:00Z","expires_at":"2026-06-01T00:00:00Z"`: "never be good", `"expires_at":"2026-03-01T12:00:00Z"`: "future",
		`"expires_at":17`: "body", `"not_before":"10000-01-01T00:00:00Z"`: "body", `"name":"` + strings.Repeat("x", 257) + `"`: "name", `"name":"` + long + `"`: "larger",
		`"name":"a","name":"b"`: "twice", `"name":"a","NAME":"b"`: "twice", `"hash":"x","consumer":"acme","colour":1`: "body", `"created":"2026-01-01T00:00:00Z"`: "body",
		`"lineage":"k1"`: "body", `"replaced_by":"k1"`: "body", `"routes":["` + strings.Repeat(`orders","`, 100) + `orders"]`: "routes",
	} {
		for line, body := range map[string]string{
			"POST /v1/keys": `{"consumer":"acme",` + field + `}`, "PUT /v1/keys/" + made["id"].(string): `{` + field + `}`,
		} {
			status := http.StatusBadRequest
			if len(field) > maxBody {
				status = http.StatusRequestEntityTooLarge
			}
			if problem := a.want(t, status, line, body); !strings.Contains(fmt.Sprint(problem["detail"]), say) {
				t.Errorf("%s %.100s: %.300v, want %q", line, body, problem["detail"], say)
			}
		}
	}
	if list := a.want(t, http.StatusOK, "GET /v1/keys?consumer=acme", ""); len(ids(list["keys"])) != 1 {
		t.Errorf("something was made: %v", list)
	}
	if k := a.want(t, http.StatusOK, "GET /v1/keys/"+made["id"].(string), ""); k["version"] != 1.0 || k["name"] != "as it was" {
		t.Errorf("something was changed: %v", k)
	}
}

func TestAKeyIsRotated(t *testing.T) {
	a := administrateKeys(t)
	old := a.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"acme",`+bounds+`}`)
	path := "/v1/keys/" + old["id"].(string)
	for _, body := range []string{`{}`, `{"overlap":""}`, `{"overlap":"0s"}`, `{"overlap":"-1h"}`, `{"overlap":"8761h"}`, `{"overlap":"1d"}`, `{"overlap":24}`, `{"overlap":"1h","days":1}`, `{"overlap":"1h","overlap":"2h"}`, `{"overlap":"1h","name":"a\u0000b"}`} {
		a.want(t, http.StatusBadRequest, "POST "+path+"/rotate", body)
	}
	a.want(t, http.StatusNotFound, "POST /v1/keys/none/rotate", `{"overlap":"1h"}`)
	next := a.want(t, http.StatusCreated, "POST "+path+"/rotate", `{"overlap":"24h"}`)
	if next["replaces"] != old["id"] || next["replaces_until"] != "2026-03-02T12:00:00Z" || next["lineage"] != old["id"] || next["name"] != "nightly" || next["expires_at"] != old["expires_at"] {
		t.Errorf("rotated: %v", next)
	}
	first, second := a.identify(t, old["key"]), a.identify(t, next["key"])
	if first == nil || second == nil || !first.Rotating || second.Rotating || second.CountedAs() != old["id"] {
		t.Errorf("first %+v, second %+v", first, second)
	}
	a.want(t, http.StatusConflict, "POST "+path+"/rotate", `{"overlap":"1h"}`)
	if list := a.want(t, http.StatusOK, "GET /v1/keys?consumer=acme", ""); len(ids(list["keys"])) != 2 {
		t.Errorf("listed: %v", list)
	}

	// An update keeps that it is rotating, and cannot put its end off.
	a.want(t, http.StatusBadRequest, "PUT "+path, `{}`)
	a.want(t, http.StatusBadRequest, "PUT "+path, `{"expires_at":"2026-03-02T12:00:01Z"}`)
	if k := a.want(t, http.StatusOK, "PUT "+path, `{"expires_at":"2026-03-02T11:00:00Z"}`); k["replaced_by"] != next["id"] {
		t.Errorf("updated: %v", k)
	}
	a.want(t, http.StatusNoContent, "DELETE "+path, "")
	if a.identify(t, old["key"]) != nil || a.identify(t, next["key"]) == nil {
		t.Error("not the old key alone is revoked")
	}
	a.want(t, http.StatusCreated, "POST /v1/keys/"+next["id"].(string)+"/rotate", `{"overlap":"8760h"}`)
}

func TestAForeignKeyIsImported(t *testing.T) {
	pepper := policy.Pepper{Version: 2, Secret: policy.NewSecret("sixteen bytes or more")}
	a := administrate(t, func(api *Admin) { api.Pepper = pepper })
	a.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"acme"}`)
	text := "legacy-key/of=another.system"
	made := a.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"acme","opaque":true,"key":"`+text+`"}`)
	if made["key"] != nil || made["opaque"] != true || len(fmt.Sprint(made["id"])) != 10 {
		t.Errorf("imported: %v", made)
	}
	a.want(t, http.StatusConflict, "POST /v1/keys", `{"consumer":"acme","opaque":true,"key":"`+text+`"}`)
	hash := policy.PlainKeyHash(policy.NewSecret(text))
	byHash := a.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"acme","id":"old-1","hash":"`+hash+`"}`)
	if byHash["id"] != "old-1" || byHash["key"] != nil || byHash["opaque"] != nil {
		t.Errorf("by its hash: %v", byHash)
	}
	if found := a.identify(t, text); found == nil || found.ID != "old-1" {
		t.Errorf("found %+v", found)
	}
	a.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"acme","hash":"`+pepper.HashKey(policy.NewSecret("another"))+`"}`)
	_, ours := policy.KeyFormat{}.New()
	for body, say := range map[string]string{
		`"key":"` + text + `"`: "opaque", `"opaque":true`: "imported", `"id":"k1"`: "imported", `"opaque":true,"key":"short"`: "8 to 512",
		`"opaque":true,"key":"with a space"`: "visible", `"opaque":true,"key":"` + ours.Reveal() + `"`: "our own", `"opaque":true,"key":"` + strings.Repeat("x", 513) + `"`: "8 to 512",
		`"key":"` + text + `","opaque":true,"hash":"` + hash + `"`: "exclude", `"hash":"sha256:zz"`: "hash", `"hash":"` + strings.ToUpper(hash) + `"`: "hash", `"opaque":true,"key":17`: "body",
		`"hash":"hmac-sha256:1:` + strings.Repeat("ab", 32) + `"`: "pepper 1", `"id":"a/b","hash":"sha256:` + strings.Repeat("ab", 32) + `"`: "id",
	} {
		problem := a.want(t, http.StatusBadRequest, "POST /v1/keys", `{"consumer":"acme",`+body+`}`)
		if detail := fmt.Sprint(problem["detail"]); !strings.Contains(detail, say) || strings.Contains(detail, text) {
			t.Errorf("%.80s: %s", body, detail)
		}
	}
	for _, answer := range a.seen {
		if strings.Contains(answer, text) || strings.Contains(answer, hash) {
			t.Errorf("the key is shown: %s", answer)
		}
	}
}

func TestARevocationWaitsForTheOthers(t *testing.T) {
	var slow []string
	var failure error
	asked := 0
	a := administrate(t, func(api *Admin) {
		api.Wait = func(ctx context.Context) ([]string, error) {
			asked++
			if _, bounded := ctx.Deadline(); !bounded {
				t.Error("it waits for ever")
			}
			return slow, failure
		}
	})
	a.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"acme"}`)
	made := func() string {
		return "DELETE /v1/keys/" + a.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"acme"}`)["id"].(string)
	}
	a.want(t, http.StatusNoContent, made(), "")
	path := made()
	for _, wait := range []string{"", "0s", "-1s", "6m", "30", "1s&wait=2s", "x"} {
		a.want(t, http.StatusBadRequest, path+"?wait="+wait, "")
	}
	if asked != 0 {
		t.Errorf("it waited %d times unasked", asked)
	}
	if got := a.want(t, http.StatusOK, path+"?wait=30s", ""); fmt.Sprint(got["slow"]) != "[]" || got["applied_ms"] == nil {
		t.Errorf("nobody is slow: %v", got)
	}
	slow = []string{"replica-2"}
	if got := a.want(t, http.StatusOK, made()+"?wait=30s", ""); fmt.Sprint(got["slow"]) != "[replica-2]" {
		t.Errorf("one is slow: %v", got)
	}
	failure = errors.New("hunter2")
	path = made()
	if got := a.want(t, http.StatusServiceUnavailable, path+"?wait=30s", ""); !strings.Contains(fmt.Sprint(got["detail"]), "it is revoked") {
		t.Errorf("it cannot be told: %v", got)
	}
	a.want(t, http.StatusNotFound, path+"?wait=30s", "")
	if asked != 3 {
		t.Errorf("it waited %d times", asked)
	}
	alone := administrate(t, nil)
	alone.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"acme"}`)
	id := alone.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"acme"}`)["id"].(string)
	if got := alone.want(t, http.StatusOK, "DELETE /v1/keys/"+id+"?wait=30s", ""); fmt.Sprint(got["slow"], got["applied_ms"]) != "[] 0" {
		t.Errorf("alone: %v", got)
	}
}
