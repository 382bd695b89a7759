package authsvc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

func TestABodyIsOneDocumentThatTheCallKnows(t *testing.T) {
	a := administrate(t, nil)
	a.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"acme"}`)
	good := map[string]string{
		"POST /v1/consumers": `{"id":"x1"}`, "PUT /v1/consumers/acme": `{"username":"x"}`, "POST /v1/keys": `{"consumer":"acme"}`, "POST /v1/explain": `{"method":"GET","url":"/open/x"}`,
	}
	for line, body := range good {
		for what, tc := range map[string]struct {
			body   string
			status int
		}{
			"empty":                     {" ", http.StatusBadRequest},
			"not JSON":                  {"id=acme", http.StatusBadRequest},
			"cut short":                 {body[:len(body)-1], http.StatusBadRequest},
			"a list":                    {"[" + body + "]", http.StatusBadRequest},
			"text":                      {`"acme"`, http.StatusBadRequest},
			"an unknown field":          {body[:len(body)-1] + `,"admin":true}`, http.StatusBadRequest},
			"a field of the store":      {body[:len(body)-1] + `,"created":"2020-01-01T00:00:00Z"}`, http.StatusBadRequest},
			"a hash that is none":       {body[:len(body)-1] + `,"hash":"sha256:00"}`, http.StatusBadRequest},
			"a name twice":              {body[:len(body)-1] + "," + body[1:], http.StatusBadRequest},
			"a name in another case":    {body[:len(body)-1] + "," + strings.ToUpper(body[1:]), http.StatusBadRequest},
			"two documents":             {body + body, http.StatusBadRequest},
			"two documents, two lines":  {body + "\n" + body, http.StatusBadRequest},
			"text behind it":            {body + "x", http.StatusBadRequest},
			"a brace behind it":         {body + "}", http.StatusBadRequest},
			"a megabyte":                {body[:len(body)-1] + strings.Repeat(" ", 1<<20) + "}", http.StatusRequestEntityTooLarge},
			"a megabyte behind it":      {body + strings.Repeat(" ", 1<<20), http.StatusRequestEntityTooLarge},
			"ten thousand levels":       {strings.Repeat("[", 10_001), http.StatusBadRequest},
			"a field of the wrong type": {`{"id":1,"username":2,"consumer":3,"method":4}`, http.StatusBadRequest},
		} {
			if problem := a.want(t, tc.status, line, tc.body); problem["title"] != "The call cannot be carried out" {
				t.Errorf("%s, %s: %v", line, what, problem)
			}
		}
		for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", "application/json, text/plain", "text/json"} {
			fields := []string{"Authorization: Bearer " + adminToken}
			if kind != "" {
				fields = append(fields, "Content-Type: "+kind)
			}
			if resp := a.raw(t, line, body, fields...); resp.Status != http.StatusUnsupportedMediaType {
				t.Errorf("%s as %q: %d", line, kind, resp.Status)
			}
		}
		for _, kind := range []string{"application/json; charset=utf-8", "Application/JSON"} {
			if resp := a.raw(t, line, strings.ReplaceAll(body, "x1", "x2")+" \n", "Authorization: Bearer "+adminToken, "Content-Type: "+kind); resp.Status >= 300 && resp.Status != http.StatusConflict {
				t.Errorf("%s as %q: %d %s", line, kind, resp.Status, resp.Body)
			}
		}
	}
}

// badIDs could become structure of a store's key, of a URL or of a header.
var badIDs = []string{
	"a/b", "a\\b", "a:b", "a*", "*", "?", "a?b", "[a-z]", "{a}", "stile:{c:acme}", "}:keys", "a\nb", "a\r\nX-Role: admin", "a\x00", "a\tb", "a b", " a", "a ", "a,b", "a;b", "a=b",
	"a%b", "%2e", "..", ".", "-a", "_a", "@a", "é", "\u202eacme", "a\u0000b", "'; DROP TABLE", "$(id)", "<script>", `a"b`, "#a", strings.Repeat("a", 129), strings.Repeat("a", 20_000),
}

func TestAnIDThatCouldBeStructureIsRefused(t *testing.T) {
	a := administrate(t, nil)
	for _, id := range badIDs {
		text := fmt.Sprintf("%q", id)
		if strings.ContainsAny(id, "\x00\u202eé") || strings.Contains(text, `\x`) {
			text = `"` + strings.NewReplacer("\x00", `\u0000`).Replace(id) + `"`
		}
		a.want(t, http.StatusBadRequest, "POST /v1/consumers", `{"id":`+text+`}`)
		a.want(t, http.StatusBadRequest, "POST /v1/keys", `{"consumer":`+text+`}`)
		escaped := url.PathEscape(id)
		for _, call := range []string{"GET /v1/consumers/", "DELETE /v1/consumers/", "GET /v1/keys/", "DELETE /v1/keys/"} {
			wantNoSuchThing(t, a, call+escaped, "")
		}
		wantNoSuchThing(t, a, "PUT /v1/consumers/"+escaped, `{"username":"x"}`)
		for _, query := range []string{"/v1/keys?consumer=", "/v1/keys?after=", "/v1/consumers?after="} {
			a.want(t, http.StatusBadRequest, "GET "+query+url.QueryEscape(id), "")
		}
	}
	// A name that is longer than what is read at all is refused before it is one.
	huge := strings.Repeat("a", 1<<20)
	for _, line := range []string{"GET /v1/consumers/" + huge, "GET /v1/keys?after=" + huge} {
		if resp := servers.Send(t, a.addr, subrequest(line, "Authorization: Bearer "+adminToken)); resp.Status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("an id of a megabyte: %d", resp.Status)
		}
	}
	a.want(t, http.StatusRequestEntityTooLarge, "POST /v1/consumers", `{"id":"`+huge+`"}`)
	if list := a.want(t, http.StatusOK, "GET /v1/consumers", ""); len(ids(list["consumers"])) != 1 {
		t.Errorf("something was made: %v", list)
	}
}

// wantNoSuchThing wants 400 of an id that reached the call. A dot segment does not:
// net/http's mux sends the caller to the cleaned path.
func wantNoSuchThing(t *testing.T, a *administration, line, body string) {
	t.Helper()
	resp := a.call(t, line, body)
	if to := resp.Header.Get("Location"); resp.Status/100 == 3 && strings.HasPrefix(to, "/v1") {
		return
	}
	if resp.Status != http.StatusBadRequest {
		t.Errorf("%.80s: %d %s, want 400", line, resp.Status, resp.Body)
	}
}

func TestAValueThatCannotBeStoredIsRefused(t *testing.T) {
	a := administrate(t, nil)
	a.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"acme"}`)
	long := strings.Repeat("x", 300)
	for body, line := range map[string]string{
		`{"id":"x","username":"a\nb"}`:                                 "POST /v1/consumers",
		`{"id":"x","username":"` + long + `"}`:                         "POST /v1/consumers",
		`{"id":"x","custom_id":"a\u0000b"}`:                            "POST /v1/consumers",
		`{"id":"x","groups":["a,b"]}`:                                  "POST /v1/consumers",
		`{"id":"x","groups":[""]}`:                                     "POST /v1/consumers",
		`{"id":"x","groups":["a\r\nX-Role: b"]}`:                       "POST /v1/consumers",
		`{"id":"x","groups":["` + strings.Repeat(`a","`, 101) + `a"]}`: "POST /v1/consumers",
		`{"id":"other"}`:                                               "PUT /v1/consumers/acme",
		`{"username":"a\tb"}`:                                          "PUT /v1/consumers/acme",
		`{"consumer":""}`:                                              "POST /v1/keys",
		`{}`:                                                           "POST /v1/keys",
		`{"consumer":"acme","name":"a\nb"}`:                            "POST /v1/keys",
		`{"consumer":"acme","scopes":["a b"]}`:                         "POST /v1/keys",
		`{"consumer":"acme","scopes":["a\"b"]}`:                        "POST /v1/keys",
		`{"consumer":"acme","expires_at":"2026-03-01T12:00:00Z"}`:      "POST /v1/keys", // now
		`{"consumer":"acme","expires_at":"2020-01-01T00:00:00Z"}`:      "POST /v1/keys",
		`{"consumer":"acme","expires_at":"tomorrow"}`:                  "POST /v1/keys",
		`{"consumer":"acme","expires_at":"12026-01-01T00:00:00Z"}`:     "POST /v1/keys",
		`{"method":"GET","url":"/","client_ip":"nobody"}`:              "POST /v1/explain",
	} {
		a.want(t, http.StatusBadRequest, line, body)
	}
	a.want(t, http.StatusNotFound, "POST /v1/keys", `{"consumer":"nobody"}`)
	for _, line := range []string{"PATCH /v1/consumers/acme", "POST /v1/consumers/acme", "DELETE /v1/consumers", "DELETE /v1/keys", "POST /v1/keys/k1", "PATCH /v1/keys/k1", "GET /v1/keys/k1/rotate", "GET /v1/explain"} {
		if resp := a.call(t, line, ""); resp.Status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", line, resp.Status)
		}
	}
	for _, line := range []string{"GET /v1/consumers/", "DELETE /v1/consumers/", "DELETE /v1/keys/", "GET /v1/nothing", "GET /v2/keys", "GET /v1/consumers/acme/keys", "DELETE /v1/consumers/acme/x"} {
		if resp := a.call(t, line, ""); resp.Status != http.StatusNotFound {
			t.Errorf("%s: %d", line, resp.Status)
		}
	}
	a.want(t, http.StatusOK, "GET /v1/consumers/acme", "")
}

func TestAWriterThatReadAnOlderVersionIsTold(t *testing.T) {
	a := administrate(t, nil)
	a.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"acme","custom_id":"1"}`)
	a.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"other","custom_id":"2"}`)
	for _, tc := range []struct {
		status     int
		line, body string
	}{
		{http.StatusConflict, "POST /v1/consumers", `{"id":"acme"}`},
		{http.StatusConflict, "POST /v1/consumers", `{"id":"third","custom_id":"1"}`},
		{http.StatusConflict, "PUT /v1/consumers/other", `{"custom_id":"1"}`},
		{http.StatusConflict, "PUT /v1/consumers/acme", `{"username":"x","version":7}`},
		{http.StatusConflict, "PUT /v1/consumers/acme", `{"username":"x","version":-1}`},
		{http.StatusOK, "PUT /v1/consumers/acme", `{"username":"first","version":1}`},
		{http.StatusConflict, "PUT /v1/consumers/acme", `{"username":"second","version":1}`},
		{http.StatusOK, "PUT /v1/consumers/acme", `{"username":"third","version":2}`},
		{http.StatusOK, "PUT /v1/consumers/acme", `{"username":"whatever is there"}`},
	} {
		a.want(t, tc.status, tc.line, tc.body)
	}
	if c := a.want(t, http.StatusOK, "GET /v1/consumers/acme", ""); c["username"] != "whatever is there" || c["version"] != 4.0 {
		t.Errorf("in the end: %v", c)
	}
}

func TestPaging(t *testing.T) {
	a := administrate(t, nil)
	consumers, keys := []string{}, []string{}
	for i := range 25 {
		id := fmt.Sprintf("c%02d", i)
		consumers = append(consumers, id)
		a.want(t, http.StatusCreated, "POST /v1/consumers", `{"id":"`+id+`"}`)
	}
	for range 5 {
		made := a.want(t, http.StatusCreated, "POST /v1/keys", `{"consumer":"c00"}`)
		keys = append(keys, made["id"].(string))
	}
	slices.Sort(keys)
	// What the file declares comes before the first page.
	for path, want := range map[string][]string{
		"/v1/consumers?limit=10":         append([]string{"declared"}, consumers...),
		"/v1/consumers?limit=25":         append([]string{"declared"}, consumers...),
		"/v1/consumers?limit=1":          append([]string{"declared"}, consumers...),
		"/v1/consumers?":                 append([]string{"declared"}, consumers...),
		"/v1/keys?limit=2":               append([]string{"dk1"}, keys...),
		"/v1/keys?consumer=c00&limit=2":  keys,
		"/v1/keys?consumer=c00&limit=5":  keys,
		"/v1/keys?consumer=c01&limit=5":  nil,
		"/v1/keys?consumer=declared&a=b": {"dk1"},
	} {
		var got []string
		after, more := "", true
		for pages := 0; more && pages < 40; pages++ {
			var next string
			page := a.want(t, http.StatusOK, "GET "+path+after, "")
			got = append(got, ids(page["consumers"])...)
			got = append(got, ids(page["keys"])...)
			next, more = page["next"].(string)
			after = "&after=" + next
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	for _, query := range []string{"limit=0", "limit=-1", "limit=1001", "limit=x", "limit=1e2", "limit=+5x", "limit=99999999999999999999", "limit=%20"} {
		a.want(t, http.StatusBadRequest, "GET /v1/consumers?"+query, "")
		a.want(t, http.StatusBadRequest, "GET /v1/keys?"+query, "")
	}
	if list := a.want(t, http.StatusOK, "GET /v1/consumers?after=zzz", ""); len(ids(list["consumers"])) != 0 || list["consumers"] == nil {
		t.Errorf("behind the end: %v", list)
	}
}

// down is a store that is out of reach and says why, which is nobody's to know.
type down struct{ err error }

func (d down) Consumer(context.Context, string) (*store.Consumer, error) { return nil, d.err }

func (d down) Consumers(context.Context, string, int) ([]store.Consumer, error) { return nil, d.err }

func (d down) CreateConsumer(context.Context, store.Consumer) (c store.Consumer, _ error) {
	return c, d.err
}

func (d down) UpdateConsumer(context.Context, store.Consumer) (c store.Consumer, _ error) {
	return c, d.err
}
func (d down) DeleteConsumer(context.Context, string) error                   { return d.err }
func (d down) CreateKey(context.Context, store.Key) error                     { return d.err }
func (d down) Key(context.Context, string) (*store.Key, error)                { return nil, d.err }
func (d down) Keys(context.Context, string, string, int) ([]store.Key, error) { return nil, d.err }
func (d down) RevokeKey(context.Context, string) error                        { return d.err }
func (d down) UpdateKey(context.Context, store.Key) (k store.Key, _ error)    { return k, d.err }
func (d down) Revoke(context.Context, store.Revocation) error                 { return d.err }

func TestWithoutTheStoreCallsFailWithoutItsWords(t *testing.T) {
	for _, err := range []error{
		errors.New("dial tcp 10.9.8.7:6379: redis://:hunter2@store refused"), context.DeadlineExceeded, context.Canceled,
		fmt.Errorf("hunter2: %w", store.ErrCorrupt), policy.Refuse(policy.OK, "hunter2"), policy.Refuse(policy.Forbidden, "hunter2"),
	} {
		a := administrate(t, func(api *Admin) { api.Consumers, api.Keys, api.Revocations = down{err}, down{err}, down{err} })
		for line, body := range everyCall() {
			if strings.HasSuffix(line, "explain") || strings.Contains(line, "audit") { // asks the decider alone; the audit is up
				a.want(t, http.StatusOK, line, body)
				continue
			}
			problem := a.want(t, http.StatusServiceUnavailable, line, body)
			if problem["detail"] != nil {
				t.Errorf("%s: %v", line, problem)
			}
		}
		for _, answer := range a.seen {
			if strings.Contains(answer, `"status":503`) != strings.Contains(answer, "Retry-After") || strings.Contains(answer, "hunter2") || strings.Contains(answer, err.Error()) || strings.Contains(answer, `"key"`) {
				t.Errorf("of %v, the caller hears %s", err, answer)
			}
		}
		if !strings.Contains(a.logged.String(), err.Error()[:7]) {
			t.Errorf("the log does not learn of %v", err)
		}
		a.want(t, http.StatusOK, "GET /v1/consumers/declared", "") // the file is not out of reach
		a.want(t, http.StatusOK, "GET /v1/keys/dk1", "")
		a.want(t, http.StatusConflict, "DELETE /v1/keys/dk1", "")
	}
}
