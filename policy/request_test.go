package policy

import (
	"net/http"
	"strings"
	"testing"
)

func TestARequestInItsOneForm(t *testing.T) {
	r := overWire(func(w *Wire) {
		w.Scheme, w.Host, w.Target = "wss", "API.example.com:443", "/v1/%6frders?x=%2e"
	})
	if r.fault != nil {
		t.Fatal(r.fault)
	}
	got := [...]any{r.Edge, r.Method, r.Scheme, r.Host, r.Port, r.Path, r.RawQuery, r.ClientIP.String()}
	want := [...]any{"test", "GET", "https", "api.example.com", uint16(443), "/v1/orders", "x=%2e", "192.0.2.7"}
	if got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestARequestIDIsKeptWhenItIsShortAndPlain(t *testing.T) {
	for _, id := range []string{"1", "r-1", "0af7651916cd43dd8448eb211c80319c", "a.b-c~d-E", strings.Repeat("a", 64)} {
		if r := overWire(header(http.Header{HeaderRequestID: {id}})); r.ID != id {
			t.Errorf("%q became %q", id, r.ID)
		}
	}
}

func TestARequestIDIsReplaced(t *testing.T) {
	for why, values := range map[string][]string{
		"that is absent":           nil,
		"that is empty":            {""},
		"that is too long":         {strings.Repeat("a", 65)},
		"that stands twice":        {"a", "b"},
		"with a line break":        {"a\r\nX: y"},
		"with a space":             {"a b"},
		"with a quote":             {`a"b`},
		"with an escape for a tty": {"\x1b[31m"},
		"with a brace":             {"{}"},
		"outside ASCII":            {"é"},
		"that could be a key":      {"stile_0123456789"},
	} {
		r := overWire(header(http.Header{HeaderRequestID: values}))
		if len(r.ID) != 32 || !isPlainID(r.ID) || len(values) > 0 && r.ID == values[0] {
			t.Errorf("%s: %q", why, r.ID)
		}
	}
	seen := map[string]bool{}
	for range 1000 {
		seen[overWire().ID] = true
	}
	if len(seen) != 1000 {
		t.Errorf("of 1000 ids %d are different", len(seen))
	}
}

func TestARequestThatCannotBeReadHasAnIDToo(t *testing.T) {
	if r := Unreadable("nginx", http.Header{HeaderRequestID: {"r-1"}}, nil); r.ID != "r-1" || r.Edge != "nginx" {
		t.Errorf("%+v", r)
	}
	if r := overWire(requestTarget("//")); r.ID == "" || r.Path != "" || r.RawQuery != "" {
		t.Errorf("id %q, path %q, query %q", r.ID, r.Path, r.RawQuery)
	}
}

func TestThePathForTheLogIsShortAndHasNoQuery(t *testing.T) {
	for raw, want := range map[string]string{
		"/a/../b?token=hunter2":          "/a/../b",
		"?token=hunter2":                 "",
		"":                               "",
		"/" + strings.Repeat("a", 1<<16): "/" + strings.Repeat("a", 127) + "…",
	} {
		if got := get(raw).RawPath(); got != want {
			t.Errorf("%.40q is logged as %.200q", raw, got)
		}
	}
}

// What a refusal says of a request goes into a log line and to the client.
func TestAnErrorAboutARequestIsShort(t *testing.T) {
	long := strings.Repeat("a", 1<<16)
	e := compiled(t, Options{Routes: append(open("/{$}", "/{x}/b"), opting("/{x}", everyEscape))})
	for what, r := range map[string]*Request{
		"scheme":  overWire(func(w *Wire) { w.Scheme = long }),
		"method":  overWire(method(strings.ToUpper(long))),
		"host":    overWire(host(long)),
		"a port":  overWire(host("a.com:" + long)),
		"target":  get("/" + long),
		"header":  overWire(header(http.Header{"X-Consumer-" + long: {"a"}})),
		"path":    get("/a/" + long[:8000]),
		"reading": get("/" + long[:8000] + "%2Fb"),
	} {
		d := e.Decide(t.Context(), r)
		if d.Allowed() {
			t.Errorf("%s: let in", what)
		} else if n := len(d.Err.Error()); n > 1000 {
			t.Errorf("%s: %s, %d bytes: %.80s", what, d.Reason, n, d.Err)
		}
	}
}
