package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stile-gate/stile/policy"
)

func importerTo(base string, told *bytes.Buffer) *importer {
	client := &adminClient{base: base, token: policy.NewSecret(adminToken), http: &http.Client{Transport: newImportTransport()}}
	return newImporter(client, "books.jsonl", func(format string, args ...any) { _, _ = fmt.Fprintf(told, format+"\n", args...) })
}

// A key may follow its consumer at once, however many calls are under way.
func TestAnImportKeepsKeysBehindTheirConsumers(t *testing.T) {
	r := start(t, `
listen: { auth: @AUTH@, admin: @ADMIN@ }
trust: [127.0.0.0/8]
routes: [{ name: all, match: /, public: a test }]
`)
	const consumers = 300
	var file strings.Builder
	for i := range consumers {
		_, _ = fmt.Fprintf(&file, `{"kind":"consumer","id":"c%d"}`+"\n", i)
		for j := range 2 {
			_, _ = fmt.Fprintf(&file, `{"kind":"key","consumer":"c%d","id":"k%d-%d","hash":"%s"}`+"\n", i, i, j, policy.PlainKeyHash(policy.NewSecret(fmt.Sprint(i, j))))
		}
	}
	for _, want := range []importCounts{{Imported: 3 * consumers}, {There: 3 * consumers}} {
		var told bytes.Buffer
		im := importerTo(r.admin, &told)
		if err := im.run(t.Context(), newJSONLines(strings.NewReader(file.String())), maxParallel); err != nil || im.counts != want {
			t.Errorf("%+v, %v, want %+v: %s", im.counts, err, want, told.String())
		}
		if len(im.busy) != 0 {
			t.Errorf("%d consumers are under way for ever", len(im.busy))
		}
	}
}

func TestAnImportTriesAgainWhileTheStoreIsDown(t *testing.T) {
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, `{"results":[{"line":1,"status":201}]}`)
	}))
	defer s.Close()
	var told bytes.Buffer
	im := importerTo(s.URL, &told)
	if err := im.run(t.Context(), newJSONLines(strings.NewReader(`{"kind":"consumer","id":"a"}`)), 2); err != nil || im.counts.Imported != 1 || calls.Load() != 2 {
		t.Errorf("%+v, %v after %d calls", im.counts, err, calls.Load())
	}
}

// What finds no store is sent again, and only that.
func TestAnImportSendsAgainWhatIsToBeSentAgain(t *testing.T) {
	var bodies []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		switch len(bodies) {
		case 1:
			_, _ = io.WriteString(w, `{"results":[{"line":1,"status":201},{"line":2,"status":503,"detail":"made by another"},{"line":3,"status":400,"detail":"no"}]}`)
		default:
			_, _ = io.WriteString(w, `{"results":[{"line":1,"status":201}]}`)
		}
	}))
	defer s.Close()
	lines := []string{`{"kind":"consumer","id":"a"}`, `{"kind" : "consumer","id":"b"}`, `{"kind":"consumer","id":"c"}`, ""}
	var told bytes.Buffer
	im := importerTo(s.URL, &told)
	err := im.run(t.Context(), newJSONLines(strings.NewReader(strings.Join(lines, "\n"))), 2)
	if want := (importCounts{Imported: 2, Refused: 1}); err != nil || im.counts != want || told.String() != "books.jsonl:3: no\n" {
		t.Errorf("%+v, %v; told %q", im.counts, err, told.String())
	}
	if len(bodies) != 2 || bodies[0] != strings.Join(lines, "\n") || bodies[1] != lines[1]+"\n" {
		t.Errorf("sent %q", bodies)
	}
}

func TestAnImportBreaksOffWhereItIsNotUnderstood(t *testing.T) {
	for want, answer := range map[string]http.HandlerFunc{
		"books.jsonl:1: the server is older than this stile": http.NotFound,
		"0 results for 1 lines":                              func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{}`) },
		"1 results for 1 lines": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"results":[{"line":2,"status":201}]}`)
		},
		"413 request entity too large": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) },
	} {
		s := httptest.NewServer(answer)
		var told bytes.Buffer
		im := importerTo(s.URL, &told)
		err := im.run(t.Context(), newJSONLines(strings.NewReader(`{"kind":"consumer","id":"a"}`)), 2)
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), want) || im.counts != (importCounts{}) {
			t.Errorf("%v, %+v, want %s", err, im.counts, want)
		}
		s.Close()
	}
}

// A batch waits for that of its consumers, and for no other.
func TestABatchWaitsForThatOfItsConsumers(t *testing.T) {
	var file strings.Builder
	for batch, consumer := range []string{"first-%d", "", "third-%d"} { // the second has keys of the first
		for i := range batchLines {
			line := `{"kind":"consumer","id":"` + fmt.Sprintf(consumer, i) + `"}`
			if consumer == "" {
				line = fmt.Sprintf(`{"kind":"key","consumer":"first-%d","id":"k%d-%d","hash":"h"}`, i, batch, i)
			}
			file.WriteString(line + "\n")
		}
	}
	third, first := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case bytes.Contains(body, []byte(`"third-0"`)):
			close(third)
		case bytes.Contains(body, []byte(`"kind":"key"`)):
			select {
			case <-first:
			default:
				t.Error("keys are sent before their consumers are there")
			}
		default:
			<-third // which goes ahead of both
			close(first)
		}
		var results []string
		for i := range bytes.Count(body, []byte("\n")) {
			results = append(results, fmt.Sprintf(`{"line":%d,"status":201}`, i+1))
		}
		_, _ = io.WriteString(w, `{"results":[`+strings.Join(results, ",")+`]}`)
	}))
	defer s.Close()
	var told bytes.Buffer
	im := importerTo(s.URL, &told)
	if err := im.run(t.Context(), newJSONLines(strings.NewReader(file.String())), 3); err != nil || im.counts.Imported != 3*batchLines || len(im.busy) != 0 {
		t.Errorf("%+v, %v: %s", im.counts, err, told.String())
	}
}

func TestJSONLinesAreReadOneByOne(t *testing.T) {
	text := "{\"kind\":\"consumer\",\"id\":\"a\"}\r\n\n  \n" + strings.Repeat("x", 3*maxLine) + "\n[1]\nnull\n" +
		`{"id":"k","kind":"key","key":"a\u0062c","hash":"h","extra":{"kind":"x"}}` + "\n" +
		`{"kind":"consumer","id":"a","kind":"key"}` + "\n" + `{"kind":"consumer","id":"a","ID":"b"}` + "\n" + `{"kind":"consumer","id":"\ud800"}` + "\n" + `{"KIND":"consumer","ID":"a"}`
	from := newJSONLines(strings.NewReader(text))
	var got []string
	for {
		rec, err := from.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %s %s %v", rec.line, rec.kind, rec.text, rec.unreadableAs))
	}
	want := []string{
		`1 consumer {"kind":"consumer","id":"a"} <nil>`, `4   longer than 65536 bytes`, `5   not a JSON object`, `6   not a JSON object`,
		`7 key {"id":"k","kind":"key","key":"a\u0062c","hash":"h","extra":{"kind":"x"}} <nil>`,
		`8   it says "kind" twice`, `9   it says "ID" twice`, `10   JSON has half of a surrogate pair`,
		`11 consumer {"KIND":"consumer","ID":"a"} <nil>`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestDifference(t *testing.T) {
	shown := map[string]any{
		"id": "k", "groups": []any{"a", "b"}, "networks": []any{"2001:db8::/32"}, "expires_at": "2030-01-01T00:00:00Z", "version": 3.0, "last_used": "x",
	}
	for want, change := range map[string]map[string]any{
		"":           {"expires_at": "2030-01-01T01:00:00+01:00", "networks": []any{"2001:0DB8::/32"}, "disabled": false, "scopes": []any{}, "name": "", "hash": "h"},
		"groups":     {"groups": []any{"b", "a"}},
		"disabled":   {"disabled": true},
		"name":       {"name": "x"},
		"expires_at": {"expires_at": nil},
		"networks":   {"networks": nil},
	} {
		sent := map[string]any{}
		for _, from := range []map[string]any{shown, change} {
			for name, value := range from {
				sent[name] = value
			}
		}
		if got := difference(sent, shown); got != want {
			t.Errorf("%v: %q, want %q", change, got, want)
		}
	}
}

func TestProgressKeepsLinesWhole(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, 200)
	if _, err := io.ReadAll(p.counting(strings.NewReader(strings.Repeat("x", 50)))); err != nil {
		t.Fatal(err)
	}
	p.printf("line %d", 1)
	p.end()
	if out.String() != "line 1\n" {
		t.Errorf("where there is no terminal: %q", out.String())
	}
	if state := p.state(); !strings.Contains(state, "#######.") || !strings.Contains(state, "25 %") {
		t.Error(state)
	}
}
