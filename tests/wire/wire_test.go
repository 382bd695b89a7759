// Package wire replays what real proxies sent, byte by byte, to a real auth listener.
package wire

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stile-gate/stile/authsvc"
	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

const recorded = "testdata/traefik-3.7.9"

// exampleHolder knows the two credentials of the recordings, and refuses a second one.
type exampleHolder struct {
	header, value string
	consumer      policy.Consumer
}

func (h exampleHolder) Authenticate(_ context.Context, r *policy.Request) (*policy.Identity, error) {
	value, err := r.Single(h.header)
	switch {
	case err != nil:
		return nil, err
	case value == "":
		return nil, policy.ErrNoCredential
	case value != h.value:
		return nil, policy.Refuse(policy.BadCredential, "another one")
	}
	return &policy.Identity{Ref: policy.Ref{Kind: "example", ID: "1"}, Credential: "1", ConsumerID: h.consumer.ID, Consumer: &h.consumer}, nil
}

// witness remembers the one request that it was asked about.
type witness struct {
	policy.Decider
	mu   sync.Mutex
	last *policy.Request
}

func (w *witness) Decide(ctx context.Context, r *policy.Request) policy.Decision {
	w.mu.Lock()
	w.last = r
	w.mu.Unlock()
	return w.Decider.Decide(ctx, r)
}

func (w *witness) asked() *policy.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// listening is an auth listener with something public, and the rest for keys and tokens.
func listening(t *testing.T) (addr string, w *witness) {
	t.Helper()
	authenticate := []policy.NamedAuthenticator{
		{Name: "partner", Scheme: policy.APIKey, Authenticator: exampleHolder{"X-Api-Key", "stile_example", policy.Consumer{ID: "acme"}}},
		{Name: "staff", Scheme: policy.Bearer, Authenticator: exampleHolder{"Authorization", "Bearer eyJ.payload.sig", policy.Consumer{ID: "maria"}}},
	}
	hosts, err := policy.ParseHosts([]string{"*:80", "*:443", "*:19140"})
	if err != nil {
		t.Fatal(err)
	}
	e, errs := policy.NewEngine(policy.Options{
		Routes: []policy.Route{
			{Name: "public", Match: "/public/", Public: "for a test"},
			{Name: "café", Match: "/caf%C3%A9", Public: "for a test"},
			{Name: "all", Match: "/", Authenticate: authenticate},
		},
		Hosts: hosts, Carriers: []policy.Carrier{{Header: "X-Api-Key", Hide: true}},
	})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	w = &witness{Decider: e}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := authsvc.NewServer(authsvc.NewAuthHandler(w, policy.Prefixes{netip.MustParsePrefix("127.0.0.0/8")}))
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	return ln.Addr().String(), w
}

func TestRecordedSubrequestsAreAnswered(t *testing.T) {
	addr, w := listening(t)
	files, err := filepath.Glob(filepath.Join(recorded, "*.http"))
	if err != nil {
		t.Fatal(err)
	}
	all, special, used, lies := byCase(), byName(), map[string]bool{}, 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".http")
		setting, kind, _ := strings.Cut(name, "__")
		e, ok := special[name]
		if !ok {
			e, ok = all[kind]
		}
		if !ok {
			t.Errorf("nobody says what %s must be answered", name)
			continue
		}
		used[kind], used[name] = true, true
		e.path = strings.ReplaceAll(e.path, "{}", strings.TrimPrefix(setting, "tls-"))
		if e.lie != "" {
			lies++
			t.Logf("%s: a lie of the edge: %s", name, e.lie)
		}
		replay(t, addr, w, name, e)
	}
	for name := range all {
		if !used[name] {
			t.Errorf("case %s is in the table, and nothing of it was recorded", name)
		}
	}
	for name := range special {
		if !used[name] {
			t.Errorf("%s is in the table, and was not recorded", name)
		}
	}
	t.Logf("%d subrequests replayed, %d of them a lie of the edge", len(files), lies)
	if len(files) < 130 {
		t.Errorf("only %d subrequests", len(files))
	}
}

var hostField = regexp.MustCompile(`\r\nHost: [^\r]*\r\n`)

// replay sends a recorded subrequest, of which only Host differs.
func replay(t *testing.T, addr string, w *witness, name string, e expected) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(recorded, name+".http"))
	if err != nil {
		t.Fatal(err)
	}
	resp := servers.Send(t, addr, hostField.ReplaceAllLiteralString(string(raw), "\r\nHost: "+addr+"\r\n"))
	if asked := w.asked(); asked.Path != e.path {
		t.Errorf("%s: judged the path %q, want %q", name, asked.Path, e.path)
	}
	if resp.Status != e.want.Status() {
		t.Errorf("%s: %d %s, want %s, for %s", name, resp.Status, resp.Body, e.want, e.why)
		return
	}
	if e.want != policy.OK {
		var p policy.Problem
		if err := json.Unmarshal([]byte(resp.Body), &p); err != nil || p.Type != "urn:stile:"+e.want.String() {
			t.Errorf("%s: %s (%v), want %s", name, resp.Body, err, e.want)
		}
		for _, header := range policy.IdentityHeaders() {
			if values := resp.Header[header]; len(values) > 0 {
				t.Errorf("%s: refused, and yet it says %s: %q", name, header, values)
			}
		}
		return
	}
	if got := resp.Header.Get("X-Consumer-ID"); got != e.as || resp.Body != "" {
		t.Errorf("%s: let in as %q with the body %q, want %q", name, got, resp.Body, e.as)
	}
	if anonymous := resp.Header.Get("X-Anonymous-Consumer"); (anonymous == "true") != (e.as == "") {
		t.Errorf("%s: X-Anonymous-Consumer is %q", name, anonymous)
	}
}

// Each subrequest that was recorded is of a client's request in the index, and of those
// that Traefik refused by itself there is none.
func TestTheIndexTellsWhatTheClientSent(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(recorded, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index []struct {
		Case, Sent string
		Asked      bool
	}
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	listed := 0
	for _, entry := range index {
		_, err := os.Stat(filepath.Join(recorded, entry.Case+".http"))
		if (err == nil) != entry.Asked || entry.Sent == "" {
			t.Errorf("%s: asked is %v, and the file: %v", entry.Case, entry.Asked, err)
		}
		if entry.Asked {
			listed++
		}
	}
	if files, _ := filepath.Glob(filepath.Join(recorded, "*.http")); len(files) != listed {
		t.Errorf("%d files, %d in the index", len(files), listed)
	}
}

// A method that only a header tells must not be the subrequest's own.
func TestTheSubrequestsOwnMethodIsNotJudged(t *testing.T) {
	addr, w := listening(t)
	raw, err := os.ReadFile(filepath.Join(recorded, "keep__delete.http"))
	if err != nil {
		t.Fatal(err)
	}
	servers.Send(t, addr, strings.Replace(string(raw), "X-Forwarded-Method: DELETE", "X-Forwarded-Method: GET", 1))
	if method := w.asked().Method; method != http.MethodGet {
		t.Errorf("judged %s", method)
	}
}

// What keeps a Traefik from the lies of the table is in the files that we ship, and in the
// settings of no other name.
func TestDeployedTraefikTellsNoLies(t *testing.T) {
	var settings []string
	for _, name := range []string{"traefik.yml", "dynamic.yml"} {
		text, err := os.ReadFile(filepath.Join(servers.Root(), "deploy", "traefik", name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line, _, _ = strings.Cut(line, " #")
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				settings = append(settings, line)
			}
		}
	}
	for setting, why := range map[string]string{
		"trustForwardHeader: false":        "else a client's X-Forwarded-Uri can be what is judged",
		"middlewares: [stile@file]":        "else a router without the middleware is open",
		"sanitizePath: true":               "else a router is chosen by another path than is judged",
		"allowEncodedSlash: false":         "else /public/..%2Fadmin gets as far as us",
		"allowEncodedBackSlash: false":     "as the slash",
		"allowEncodedPercent: false":       "as the slash",
		"- X-Credential-Status":            "as X-Consumer-ID",
		"- X-Consumer-ID":                  "else a client's own would reach the upstream of a public route",
		"- X-Anonymous-Consumer":           "as X-Consumer-ID",
		"- X-Authenticated-Scope":          "as X-Consumer-ID",
		"encodeQuerySemicolons: true":      "else the upstream gets another query",
		"- X-Original-URL":                 "else an upstream takes it for its own",
		"allowEncodedSemicolon: false":     "as the slash",
		"allowEncodedNullCharacter: false": "as the slash",
	} {
		if !slices.Contains(settings, setting) {
			t.Errorf("deploy/traefik does not say %q: %s", setting, why)
		}
	}
	for _, line := range settings {
		for _, name := range []string{"trustedIPs", "insecure: true", "forwardedHeaders:", "authRequestHeaders:", "authResponseHeadersRegex"} {
			if strings.HasPrefix(line, name) {
				t.Errorf("deploy/traefik says %q: its clients are believed", line)
			}
		}
	}
}
