package authsvc

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/tests/servers"
)

func FuzzTraefik(f *testing.F)    { fuzzDialect(f, "traefik", 200, 400, 401, 404) }
func FuzzCaddy(f *testing.F)      { fuzzDialect(f, "caddy", 200, 400, 401, 404) }
func FuzzNginx(f *testing.F)      { fuzzDialect(f, "nginx", 200, 401, 403) }
func FuzzNginxAccel(f *testing.F) { fuzzDialect(f, "nginx-accel", 200, 400, 401, 404) }

// fuzzDialect asks an endpoint with whatever header block comes. Anything goes but a panic,
// another status than these, or a yes to what is not one canonical request.
func fuzzDialect(f *testing.F, edge string, statuses ...int) {
	var path string
	for _, g := range tongues() {
		if g.edge == edge {
			path = g.url
			seed(f, g)
		}
	}
	w := engine(f)
	h := NewAuthHandler(w, loopback)
	f.Fuzz(func(t *testing.T, block string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + path + " HTTP/1.1\r\nHost: s\r\n" + block + "\r\n\r\n")))
		if err != nil {
			t.Skip("net/http does not take it for a request")
		}
		r.RemoteAddr = "127.0.0.1:1024"
		answer := httptest.NewRecorder()
		w.take()
		h.ServeHTTP(answer, r)
		asked := w.take()
		if len(asked) != 1 {
			t.Fatalf("the decider was asked %d times", len(asked))
		}
		if !slices.Contains(statuses, answer.Code) {
			t.Errorf("status %d", answer.Code)
		}
		if answer.Code != http.StatusOK {
			return
		}
		if answer.Body.Len() > 0 {
			t.Errorf("allowed with the body %q", answer.Body)
		}
		if err := canonical(asked[0]); err != nil {
			t.Errorf("allowed %q: %v", asked[0].Path, err)
		}
		if err := asSent(asked[0], r.Header, strings.HasPrefix(edge, "nginx")); err != nil {
			t.Errorf("allowed: %v", err)
		}
	})
}

// seed adds what an edge sends, each of its headers once more, and what real ones sent.
func seed(f *testing.F, g tongue) {
	good := g.fields("/open/x?a=b")
	blocks := [][]string{good, g.fields("/v1/orders"), append(g.fields("/v1/orders"), "X-Api-Key: good"), g.fields("/encoded/a%2fb"), g.fields("/open/%e2%82%ac/%7e"), nil}
	for _, name := range g.names() {
		blocks = append(blocks, append(without(good, name), name+": /open/.."), append(slices.Clone(good), name+": /v1/orders"), without(good, name))
	}
	for _, fields := range blocks {
		f.Add(strings.Join(fields, "\r\n"))
	}
	recorded, err := filepath.Glob(filepath.Join(servers.Root(), "tests", "wire", "testdata", "traefik-*", "o*.http"))
	if err != nil || len(recorded) == 0 {
		f.Fatalf("nothing recorded: %v", err)
	}
	for _, name := range recorded {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if _, block, ok := strings.Cut(string(raw), "\r\nHost: 127.0.0.1:19005\r\n"); ok && len(block) < 2000 {
			f.Add(strings.TrimSuffix(block, "\r\n\r\n"))
		}
	}
}

var canonicalPath = regexp.MustCompile(`^(/([A-Za-z0-9._~!$&'()*+,=:@-]|%[2-9A-F][0-9A-F])*)+$`)

// forbiddenEscape is of an unreserved character, or of one of % / ; \ # ? and DEL.
var forbiddenEscape = regexp.MustCompile(`%(2[5DEF]|3[0-9B]|4[1-9A-F]|5[0-9ACF]|6[1-9A-F]|7[0-9AEF]|23|3F)`)

// canonical holds a request that was judged against design.md, without the code that made
// it canonical.
func canonical(r *policy.Request) error {
	path := strings.ReplaceAll(r.Path, "%2F", "/encoded-slash") // the one escape that a route here takes
	unescaped, err := url.PathUnescape(path)
	switch {
	case err != nil:
		return err
	case !canonicalPath.MatchString(path), strings.Contains(path, "//"), !utf8.ValidString(unescaped):
		return errors.New("the path is not canonical")
	case path != r.Path && !strings.HasPrefix(path, "/encoded/"):
		return errors.New("an escaped slash on a route that does not take it")
	case forbiddenEscape.MatchString(path):
		return errors.New("the path has an escape that must be decoded or refused")
	case slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "." || s == ".." }):
		return errors.New("the path has a dot segment")
	case r.Scheme != "http" && r.Scheme != "https", !r.ClientIP.IsValid(), r.ClientIP.Is4In6():
		return fmt.Errorf("scheme %q, client %v", r.Scheme, r.ClientIP)
	case r.Host == "" || r.Host != strings.ToLower(r.Host) || strings.HasSuffix(r.Host, ".") || strings.ContainsAny(r.Host, ",@/#?%; \t"):
		return fmt.Errorf("host %q", r.Host)
	case !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"}, r.Method):
		return fmt.Errorf("method %q", r.Method)
	}
	for name := range r.Header {
		if policy.IsIdentityHeader(name) {
			return fmt.Errorf("the client's identity header %q came along", name)
		}
	}
	return nil
}

// asSent checks that what was judged is what the one header of the family says.
func asSent(r *policy.Request, h http.Header, original bool) error {
	method, target := h["X-Forwarded-Method"], h["X-Forwarded-Uri"]
	if original {
		method, target = h["X-Original-Method"], h["X-Original-Uri"]
		if whole := h["X-Original-Url"]; len(whole) == 1 {
			_, rest, _ := strings.Cut(whole[0], "://")
			_, rest, _ = strings.Cut(rest, "/")
			target = []string{"/" + rest}
		}
	}
	if len(method) != 1 || len(target) != 1 || len(h["X-Forwarded-For"]) != 1 {
		return fmt.Errorf("methods %q, targets %q, X-Forwarded-For %q", method, target, h["X-Forwarded-For"])
	}
	path, query, _ := strings.Cut(target[0], "?")
	sent, err := url.PathUnescape(path)
	judged, err2 := url.PathUnescape(r.Path)
	if err != nil || err2 != nil || sent != judged || query != r.RawQuery || method[0] != r.Method {
		return fmt.Errorf("judged %s %s?%s, but the edge said %s %s", r.Method, r.Path, r.RawQuery, method[0], target[0])
	}
	return nil
}
