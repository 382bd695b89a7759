package authsvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

// lines sends an import.
func (a *administration) lines(t *testing.T, lines ...string) *servers.Response {
	t.Helper()
	return a.raw(t, "POST /v1/import", strings.Join(lines, "\n")+"\n", "Authorization: Bearer "+adminToken, "Content-Type: application/x-ndjson")
}

// results are what an import answers, a "status detail" for each line.
func (a *administration) results(t *testing.T, lines ...string) (results []string) {
	t.Helper()
	resp := a.lines(t, lines...)
	var out importOutput
	if err := json.Unmarshal([]byte(resp.Body), &out); err != nil || resp.Status != http.StatusOK || len(out.Results) != len(lines) {
		t.Fatalf("%d lines: %d %.300s (%v)", len(lines), resp.Status, resp.Body, err)
	}
	for i, r := range out.Results {
		if r.Line != i+1 || (r.Detail == "") != (r.Status == http.StatusCreated) {
			t.Errorf("result %d: %+v", i, r)
		}
		results = append(results, fmt.Sprint(r.Status, " ", r.Detail))
	}
	return results
}

// single is the call that a line stands for.
func (a *administration) single(t *testing.T, line importedLine) string {
	t.Helper()
	resp := a.call(t, "POST /v1/"+line.kind+"s", line.body)
	var problem struct{ Detail string }
	_ = json.Unmarshal([]byte(resp.Body), &problem)
	return fmt.Sprint(resp.Status, " ", problem.Detail)
}

// wholeStore is a store as the admin API needs it.
type wholeStore interface {
	ConsumerBooks
	KeyBooks
	store.Loader
}

// Each line comes out as the single call does, in whatever company.
func TestAnImportAnswersAsTheSingleCallsDo(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		answersAsAlone(t, func() wholeStore { return store.NewMemory() })
	})
	t.Run("redis", func(t *testing.T) {
		server, database := storetest.StartRedis(t), 0
		answersAsAlone(t, func() wholeStore {
			r, err := store.OpenRedis(fmt.Sprintf("%s/%d?read_timeout=10s", server.URL, database))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = r.Close() })
			database++
			return r
		})
	})
}

func answersAsAlone(t *testing.T, open func() wholeStore) {
	fresh := func() *administration {
		return administrate(t, func(api *Admin) {
			s := open()
			api.Consumers, api.Keys, api.Records = s, s, s
			api.Pepper, api.Old = knownPepper, []policy.Pepper{olderPepper}
			api.Routes, api.Limits = []string{"orders"}, []string{"burst"}
		})
	}
	lines := importLinesOfAllKinds()
	alone := fresh()
	var want []string
	for _, line := range lines {
		want = append(want, alone.single(t, line))
		if status := want[len(want)-1]; !strings.HasPrefix(status, fmt.Sprint(line.status)) {
			t.Errorf("%s %.200s: %s, want %d", line.kind, line.body, status, line.status)
		}
	}
	for place := range 3 {
		var texts []string
		for _, line := range lines {
			texts = append(texts, line.text(place))
		}
		atOnce, oneByOne := fresh(), fresh()
		got := atOnce.results(t, texts...)
		for i := range lines {
			if anyKeyID(got[i]) != anyKeyID(want[i]) {
				t.Errorf("%.200s:\nat once %s\nalone   %s", texts[i], got[i], want[i])
			}
			if got := oneByOne.results(t, texts[i])[0]; anyKeyID(got) != anyKeyID(want[i]) {
				t.Errorf("%.200s:\none line %s\nalone    %s", texts[i], got, want[i])
			}
		}
		for _, a := range []*administration{atOnce, oneByOne} {
			for _, list := range []string{"GET /v1/consumers", "GET /v1/keys"} {
				if got, want := books(t, a, list), books(t, alone, list); got != want {
					t.Errorf("%s:\n%s\nwant\n%s", list, got, want)
				}
			}
		}
	}
}

// anyKeyID hides ids that were made up.
func anyKeyID(text string) string {
	return regexp.MustCompile(`key "[0-9A-Za-z]{10}"`).ReplaceAllString(text, `key "*"`)
}

// books lists things without what differs from run to run: dates, and ids that were made up.
func books(t *testing.T, a *administration, list string) string {
	t.Helper()
	var found []string
	for _, of := range a.want(t, http.StatusOK, list, "") {
		for _, one := range of.([]any) {
			fields := one.(map[string]any)
			for _, name := range []string{"created", "updated"} {
				delete(fields, name)
			}
			if id, _ := fields["id"].(string); policy.IsKeyID(id) {
				fields["id"] = "*"
			}
			found = append(found, fmt.Sprint(fields))
		}
	}
	slices.Sort(found)
	return strings.Join(found, "\n")
}

// What is there is in conflict with the same again, also within one call and one moment.
func TestAnImportKnowsWhatItHasMade(t *testing.T) {
	a := administrate(t, nil)
	lines := []string{
		`{"kind":"consumer","id":"acme"}`, `{"kind":"consumer","id":"acme"}`,
		`{"kind":"key","consumer":"acme","id":"k","hash":"` + declaredHash + `"}`, `{"kind":"key","consumer":"acme","id":"k","hash":"` + declaredHash + `"}`,
	}
	statuses := func() string {
		var all []string
		for _, r := range a.results(t, lines...) {
			all = append(all, r[:3])
		}
		return strings.Join(all, " ")
	}
	if first, again := statuses(), statuses(); first != "201 409 201 409" || again != "409 409 409 409" {
		t.Errorf("%s, and again %s", first, again)
	}
}

func TestAnImportRefusesWhatIsNoLine(t *testing.T) {
	a := administrate(t, nil)
	for line, want := range map[string]string{
		"":                                      "400 the body is not what this call takes: unexpected end of JSON input",
		"null":                                  `400 kind "" is neither consumer nor key`,
		`[{"kind":"consumer","id":"x"}]`:        `400 kind "" is neither consumer nor key`,
		`{"kind":"consumer","id":"x"`:           "400 the body is not what this call takes: unexpected end of JSON input",
		`{"kind":"consumer","id":"x"}{}`:        "400 the body is not what this call takes: invalid character '{' after top-level value",
		`{"kind":"consumer",,"id":"x"}`:         "400 the body is not what this call takes: invalid character ',' looking for beginning of object key string",
		`{"kind":"consumer","id":"x",}`:         "400 the body is not what this call takes: invalid character '}' looking for beginning of object key string",
		`{"id":"x"}`:                            `400 kind "" is neither consumer nor key`,
		`{"kind":7,"id":"x"}`:                   `400 kind "" is neither consumer nor key`,
		`{"kind":["key"],"id":"x"}`:             `400 kind "" is neither consumer nor key`,
		`{"kind":"Consumer","id":"x"}`:          `400 kind "Consumer" is neither consumer nor key`,
		`{"kind":"consumer","kind":"key"}`:      `400 the body is not what this call takes: it says "kind" twice`,
		`{"kind":"consumer","KIND":"consumer"}`: `400 the body is not what this call takes: it says "KIND" twice`,
		`{"kind":"user","id":"x","id":"y"}`:     `400 the body is not what this call takes: it says "id" twice`,
		`{"kind":"key","consumer":"declared"}`:  "400 a key needs its hash, or with opaque the key itself; nobody would see one that is made here",
	} {
		if got := a.results(t, line)[0]; got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	if list := books(t, a, "GET /v1/consumers"); strings.Contains(list, "x") {
		t.Errorf("something was made: %s", list)
	}
	if got := a.results(t, `{"KIND":"con\u0073umer","ID":"capitals"}`)[0]; got != "201 " {
		t.Errorf("names in capitals: %s", got)
	}
}

func TestAnImportIsBounded(t *testing.T) {
	a := administrate(t, nil)
	numbered := func(n int) (lines []string) {
		for i := range n {
			lines = append(lines, fmt.Sprintf(`{"kind":"consumer","id":"c%04d"}`, i))
		}
		return lines
	}
	large := `{"kind":"consumer","id":"c","username":"` + strings.Repeat("x", maxBody) + `"}`
	for what, tc := range map[string]struct {
		lines  []string
		status int
		detail string
	}{
		"too many lines": {numbered(maxImportLines + 1), 413, "the body has more than 1000 lines"},
		"too much":       {slices.Repeat([]string{large}, maxImport/maxBody), 413, "the body is larger than 4194304 bytes"},
	} {
		resp := a.lines(t, tc.lines...)
		if resp.Status != tc.status || !strings.Contains(resp.Body, tc.detail) {
			t.Errorf("%s: %d %s", what, resp.Status, resp.Body)
		}
	}
	for _, kind := range []string{"application/json", "text/plain", "application/ndjson"} {
		resp := a.raw(t, "POST /v1/import", numbered(1)[0], "Authorization: Bearer "+adminToken, "Content-Type: "+kind)
		if resp.Status != http.StatusUnsupportedMediaType || !strings.Contains(resp.Body, "application/x-ndjson") {
			t.Errorf("%s: %d %s", kind, resp.Status, resp.Body)
		}
	}
	if resp := a.raw(t, "POST /v1/import", "", "Authorization: Bearer "+adminToken, "Content-Type: application/x-ndjson"); resp.Status != http.StatusBadRequest {
		t.Errorf("nothing: %d %s", resp.Status, resp.Body)
	}
	if resp := a.raw(t, "POST /v1/import", numbered(1)[0], "Content-Type: application/x-ndjson"); resp.Status != http.StatusUnauthorized {
		t.Errorf("without the token: %d %s", resp.Status, resp.Body)
	}
	if list := books(t, a, "GET /v1/consumers"); strings.Contains(list, "c0") {
		t.Errorf("something was made: %s", list)
	}
	for i, r := range a.results(t, numbered(maxImportLines)...) {
		if r != "201 " {
			t.Errorf("line %d: %s", i+1, r)
		}
	}
}

// loads stands before a store's Load.
type loads func([]store.Record) ([]error, error)

func (l loads) Load(_ context.Context, records []store.Record) ([]error, error) { return l(records) }

func TestAnImportThatTheStoreFails(t *testing.T) {
	var loading loads
	a, audit := auditedCalls(t, func(api *Admin) { api.Records = loads(func(r []store.Record) ([]error, error) { return loading(r) }) })
	lines := []string{`{"kind":"consumer","id":"acme"}`, `{"kind":"key","consumer":"acme","id":"k","hash":"` + declaredHash + `"}`}

	loading = func([]store.Record) ([]error, error) { return nil, errors.New("hunter2 refused") }
	resp := a.lines(t, lines...)
	if resp.Status != http.StatusServiceUnavailable || strings.Contains(resp.Body, "hunter2") || !strings.Contains(a.logged.String(), "hunter2 refused") {
		t.Errorf("%d %s; log: %s", resp.Status, resp.Body, a.logged)
	}
	if got := audit.lines(t, 1); len(got) != 1 || !strings.Contains(got[0], " failed attempt 1") {
		t.Errorf("entries: %q", got)
	}

	// Another writer is at work on both, or was cut short. It is gone soon; a consumer may be
	// half-deleted for ever.
	taken := fmt.Errorf("made by another: %w", store.ErrConflict)
	loading = func([]store.Record) ([]error, error) { return []error{taken, taken}, nil }
	if got := a.results(t, lines...); got[0][:3] != "409" || got[1][:3] != "503" {
		t.Errorf("%q", got)
	}

	loading = func([]store.Record) ([]error, error) { return []error{nil, taken}, store.ErrUnannounced }
	if got := a.results(t, lines...); got[0][:3] != "201" || got[1][:3] != "503" || !strings.Contains(a.logged.String(), "could not be announced") {
		t.Errorf("%q; log: %s", got, a.logged)
	}
}

// One attempt and one outcome, however many lines there are, which tell what was sent.
func TestAnImportIsInTheAuditTwice(t *testing.T) {
	a, audit := auditedCalls(t, nil)
	lines := []string{
		`{"kind":"consumer","id":"acme"}`, `{"kind":"consumer","id":"acme"}`, `{"kind":"consumer","id":"a/b"}`,
		`{"kind":"key","consumer":"acme","opaque":true,"key":"hunter2-hunter2"}`,
	}
	a.results(t, lines...)
	digest := policy.PlainKeyHash(policy.NewSecret(strings.Join(lines, "\n") + "\n")) // "sha256:…"
	want := fmt.Sprintf("1 import %s attempt 4 lines\n2 import %s done attempt 1; 2 created, 1 in conflict, 0 to be sent again, 1 refused", digest, digest)
	if got := strings.Join(audit.lines(t, 0), "\n"); got != want {
		t.Errorf("entries:\n%s\nwant\n%s", got, want)
	}
	a.lines(t, slices.Repeat(lines, 1000)...)
	if got := audit.lines(t, 2); len(got) != 0 {
		t.Errorf("what was not taken up left entries: %q", got)
	}
	audit.fails = func(r store.AuditRecord) bool { return r.Outcome == "attempt" }
	if resp := a.lines(t, `{"kind":"consumer","id":"unaudited"}`); resp.Status != http.StatusServiceUnavailable {
		t.Errorf("without the audit: %d %s", resp.Status, resp.Body)
	}
	a.want(t, http.StatusNotFound, "GET /v1/consumers/unaudited", "")
}

// FuzzCutKind holds that nothing else of a line is changed, and nothing made right.
func FuzzCutKind(f *testing.F) {
	for _, seed := range []string{
		`{"kind":"key"}`, `{"kind":"key","a":1}`, `{"a":1,"kind":"key"}`, `{ "a" : [1,{"kind":2}] , "KIND" : "x" , "b":{} } `,
		`{"kind":"key",}`, `{,"kind":"key"}`, `{"kind":"key""a":1}`, `[{"kind":1}]`, `{"kind":1,"kind":2}`, `{"\u212Aind":"key"}`, `{"kind":"key"}}`, `{"kind":"key"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		_, rest, err := cutKind(text)
		if err != nil {
			return
		}
		var before, after map[string]json.RawMessage
		valid := json.Unmarshal(text, &before) == nil
		if valid != (json.Unmarshal(rest, &after) == nil) {
			t.Fatalf("%q became %q", text, rest)
		}
		for name, value := range before {
			if strings.EqualFold(name, "kind") {
				continue
			}
			if left, ok := after[name]; !ok || string(left) != string(value) {
				t.Fatalf("%q became %q", text, rest)
			}
			delete(after, name)
		}
		if len(after) != 0 {
			t.Fatalf("%q became %q", text, rest)
		}
	})
}
