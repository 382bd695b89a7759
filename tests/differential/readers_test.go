package differential

import (
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
)

// steps are what programs do to a path before they act on it. Each does a few of them, in
// an order of its own, and some twice.
var steps = map[string]func(string) string{
	"decode":     decode,
	"resolve":    resolve,
	"merge":      func(p string) string { return slashes.ReplaceAllString(p, "/") },
	"backslash":  func(p string) string { return strings.ReplaceAll(p, `\`, "/") },
	"parameters": func(p string) string { return parameters.ReplaceAllString(p, "") },
	"cut":        func(p string) string { return p[:indexAny(p, "?#")] },
	"terminate":  func(p string) string { return p[:indexAny(p, "\x00")] },
}

var (
	slashes    = regexp.MustCompile(`/+`)
	parameters = regexp.MustCompile(`;[^/]*`)
	escape     = regexp.MustCompile(`%[0-9a-fA-F]{2}`)
)

func indexAny(s, chars string) int {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return i
	}
	return len(s)
}

// decode undoes one layer of escapes, and keeps what is none.
func decode(p string) string {
	return escape.ReplaceAllStringFunc(p, func(e string) string {
		text, err := url.PathUnescape(e)
		if err != nil {
			return e
		}
		return text
	})
}

// resolve removes dot segments, as RFC 3986 §5.2.4 does, and nothing else.
func resolve(p string) string {
	var out []string
	segments := strings.Split(strings.TrimPrefix(p, "/"), "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		case ".":
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, s)
		}
	}
	return "/" + strings.Join(out, "/")
}

// whatwg is the pathname of `new URL(target, base)`, as Node and browsers have it.
func whatwg(raw string) string {
	raw = strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(raw)
	segments := strings.Split(raw, "/")
	for i, s := range segments {
		switch strings.ReplaceAll(strings.ToLower(s), "%2e", ".") {
		case ".":
			segments[i] = "."
		case "..":
			segments[i] = ".."
		}
	}
	return resolve(strings.Join(segments, "/"))
}

// kinds are upstreams of which each is known to exist.
var kinds = map[string]func(raw string) []string{
	"Go": func(raw string) []string {
		u, err := url.ParseRequestURI(raw)
		if err != nil {
			return nil // answers 400
		}
		clean := path.Clean(u.Path)
		if strings.HasSuffix(u.Path, "/") && clean != "/" {
			clean += "/" // as ServeMux does
		}
		return []string{u.Path, clean, u.EscapedPath()}
	},
	"Node": func(raw string) []string {
		p := raw[:indexAny(raw, "?#")]
		return []string{raw, p, whatwg(p), decode(p), decode(whatwg(p))}
	},
	"servlet container": func(raw string) []string {
		return ordered(raw, "cut", "parameters", "decode", "merge", "resolve")
	},
	"servlet container that drops parameters late": func(raw string) []string {
		return ordered(raw, "cut", "decode", "parameters", "merge", "resolve")
	},
	"one that merges slashes":     func(raw string) []string { return ordered(raw, "cut", "merge", "resolve", "decode") },
	"one that decodes twice":      func(raw string) []string { return ordered(raw, "cut", "decode", "resolve", "decode", "resolve") },
	"one that takes \\ for /":     func(raw string) []string { return ordered(raw, "cut", "decode", "backslash", "merge", "resolve") },
	"one written in C":            func(raw string) []string { return ordered(raw, "cut", "decode", "terminate", "resolve") },
	"one that decodes, then cuts": func(raw string) []string { return ordered(raw, "decode", "cut", "resolve") },
	"any of these, in any order":  everything,
	"one that, besides, takes /x and /x/ for the same": func(raw string) []string {
		var all []string
		for _, p := range everything(raw) {
			p = strings.TrimSuffix(p, "/")
			all = append(all, p, p+"/")
		}
		return all
	},
}

// ordered is what a path is after each of some steps.
func ordered(p string, names ...string) []string {
	var all []string
	for _, name := range names {
		p = steps[name](p)
		all = append(all, p)
	}
	return all
}

// everything is all that any number of steps in any order make of a path.
func everything(raw string) []string {
	seen := map[string]bool{raw: true}
	all := []string{raw}
	for i := 0; i < len(all) && len(all) < 500; i++ {
		for _, step := range steps {
			if next := step(all[i]); !seen[next] {
				seen[next] = true
				all = append(all, next)
			}
		}
	}
	return all
}

// mistaken finds an upstream that takes a request target for one of a route that is more
// protected than a level.
func mistaken(host, raw string, than level) (kind, reading string, r *route) {
	for kind, read := range kinds {
		for _, p := range read(raw) {
			if r := matching(host, p); r != nil && r.level > than {
				return kind, p, r
			}
		}
	}
	return "", "", nil
}

// A reader that reads nothing would let everything pass. Each of these gets past a gate
// that compares text.
func TestTheReadersSeeWhatAGateCanMiss(t *testing.T) {
	for kind, targets := range map[string][]string{
		"Go":                {"/open/%2e%2e/admin", "/open/../admin", "/open/..%2fadmin", "/%61dmin", "//admin", "/v1%2Fadmin%2Fx"},
		"Node":              {`/open/..\admin`, "/open/%2e%2e/admin", "/admin#x", "/%61dmin"},
		"servlet container": {"/open/..;x=1/admin", "/admin;x", "/open;/..;/admin", "//admin;a=b?c"},
		"servlet container that drops parameters late":     {"/admin%3bx", "/open/..%3b/admin"},
		"one that merges slashes":                          {"///admin", "/v1//admin/x"},
		"one that decodes twice":                           {"/%2561dmin", "/open/%252e%252e/admin", "/open/..%252fadmin"},
		"one that takes \\ for /":                          {`/open\..\admin`, "/open%5c..%5cadmin", `/\admin`},
		"one written in C":                                 {"/admin%00", "/admin%00.html"},
		"one that decodes, then cuts":                      {"/admin%3fx", "/admin%23"},
		"one that, besides, takes /x and /x/ for the same": {"/@me/admin/", "/t/x/secrets/", "/data/key;x/", "/v1/admin"},
		"any of these, in any order":                       {"/open/..%253b%252fadmin", "/open%5c..;/admin", "/open/%252e%252e%255cadmin%2500x"},
	} {
		if kinds[kind] == nil {
			t.Fatalf("there is no %s", kind)
		}
		for _, target := range targets {
			found := false
			for _, p := range kinds[kind](target) {
				r := matching("app.test", p)
				found = found || r != nil && r.level == forAdmins
			}
			if !found {
				t.Errorf("%s does not take %s for something of the admins", kind, target)
			}
		}
	}
}

func TestTheIndependentMatcherKnowsTheRoutes(t *testing.T) {
	for target, want := range map[string]string{
		"/": "front", "/open/": "open", "/open/x/y": "open", "/open": "", "/static/x": "static", "/static/x/y": "", "/static/": "", "/files/a": "files", "/files/secret/x": "files-secret",
		"/files/secret": "files", "/data/": "data", "/data/a/b": "data", "/data/key": "data-key", "/data/secret/x": "data-secret", "/data/secret/x/y": "data", "/leaves/x/": "leaves", "/leaves/x": "", "/pages/x/": "pages", "/pages/x/y": "pages", "/pages/x": "", "/docs/secret": "docs", "/docs/secret/": "docs-secret", "/@me/x": "me", "/@me/admin": "me-admin", "/t/x/info": "tenant-info",
		"/t/x/secrets": "tenant-secrets", "/t//secrets": "", "/~maria/x": "home", "/café": "cafe", "/caf%C3%A9": "cafe", "/a b/x": "space", "/v1.0/x": "dotted", "/v1/x": "v1", "/v1/admin": "v1", "/v1/admin/": "v1-admin",
		"/admin": "admin", "/admin/": "admin-below", "/admin/x/y": "admin-below", "/nowhere": "", "": "", "admin": "",
	} {
		got := ""
		if r := matching("app.test", target); r != nil {
			got = r.name
		}
		if got != want {
			t.Errorf("%s is of route %q, want %q", target, got, want)
		}
	}
	if r := matching("admin.test", "/open/x"); r == nil || r.name != "admin-host" {
		t.Errorf("a host of its own: %v", r)
	}
}
