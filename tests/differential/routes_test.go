package differential

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/stile-gate/stile/policy"
)

// level is how well a route is protected, and what a caller may reach.
type level int

const (
	public level = iota
	forKeys
	forAdmins
)

// route is one line of the configuration, and of the independent reading of it below.
type route struct {
	name, match string
	level       level
	encoded     string
}

// routes has something to be reached behind every kind of pattern, each beside something
// public from which one could get there.
func routes() []route {
	return []route{
		{"front", "/{$}", public, ""},
		{"open", "/open/", public, ""},
		{"static", "/static/{file}", public, ""},
		{"files", "/files/{name}", public, "[slash]"},
		{"files-secret", "/files/secret/{name}", forAdmins, ""},
		{"data", "/data/{name...}", public, "[percent, semicolon, question, hash]"},
		{"data-key", "/data/key", forAdmins, ""},
		{"data-secret", "/data/secret/{name}", forAdmins, ""},
		{"docs", "/docs/{name}", public, ""},
		{"docs-secret", "/docs/secret/", forAdmins, ""},
		{"pages", "/pages/{name}/", public, ""},
		{"pages-secret", "/pages/secret", forAdmins, ""},
		{"leaves", "/leaves/{name}/{$}", public, ""},
		{"leaves-secret", "/leaves/secret", forAdmins, ""},
		{"me", "/@me/{x}", public, ""},
		{"me-admin", "/@me/admin", forAdmins, ""},
		{"tenant-info", "/t/{tenant}/info", public, ""},
		{"tenant-secrets", "/t/{tenant}/secrets", forAdmins, ""},
		{"home", "/~maria/{x}", forKeys, ""},
		{"cafe", "/caf%C3%A9", forKeys, ""},
		{"space", "/a%20b/{x}", forKeys, ""},
		{"dotted", "/v1.0/{x}", forKeys, ""},
		{"v1", "/v1/", forKeys, ""},
		{"v1-admin", "/v1/admin/", forAdmins, ""},
		{"admin", "/admin", forAdmins, ""},
		{"admin-below", "/admin/", forAdmins, ""},
		{"admin-host", "admin.test/", forAdmins, ""},
	}
}

// configuration is a stile.yaml with these routes, for every edge at once.
func configuration(upstream, keyID string, key policy.Secret) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
listen: { auth: "@AUTH@", proxy: "@PROXY@", admin: "@ADMIN@" }
trust: [127.0.0.1]
store: "memory:"
authenticators:
  partner: { api_key: { header: X-API-Key } }
upstreams:
  app: { targets: [{ url: "http://%s" }] }
consumers:
  - { id: acme, groups: [partners], keys: [{ id: %q, hash: %q }] }
routes:
`, upstream, keyID, policy.PlainKeyHash(key))
	for _, r := range routes() {
		fmt.Fprintf(&b, "  - { name: %s, match: %q, upstream: app", r.name, r.match)
		switch r.level {
		case public:
			b.WriteString(", public: for a test")
		case forKeys:
			b.WriteString(", authenticate: [partner]")
		case forAdmins:
			b.WriteString(", authenticate: [partner], require: { groups: [admins] }")
		}
		if r.encoded != "" {
			b.WriteString(", encoded: " + r.encoded)
		}
		b.WriteString(" }\n")
	}
	return b.String()
}

// matching is the route that a path belongs to, found by comparing it with each pattern,
// and nil when there is none. It shares no code with stile. The path is as a program has
// it in the end, so that its segments stand for themselves.
func matching(host, path string) *route {
	var best *route
	bestRank := ""
	all := routes()
	for i := range all {
		r := &all[i]
		slash := strings.IndexByte(r.match, '/')
		if r.match[:slash] != "" && r.match[:slash] != host {
			continue
		}
		rank, ok := matches(strings.Split(r.match[slash+1:], "/"), strings.Split(strings.TrimPrefix(path, "/"), "/"))
		if !ok || path == "" || path[0] != '/' {
			continue
		}
		if r.match[:slash] == "" {
			rank = "z" + rank // one that names a host comes first
		}
		if best == nil || rank < bestRank {
			best, bestRank = r, rank
		}
	}
	return best
}

// matches compares segments, and ranks how: a literal before a wildcard before a rest.
func matches(pattern, segments []string) (rank string, ok bool) {
	for i, p := range pattern {
		switch {
		case i == len(pattern)-1 && (p == "" || strings.HasSuffix(p, "...}")):
			return rank + "c", len(segments) > i
		case i >= len(segments):
			return "", false
		case p == "{$}":
			return rank + "a", segments[i] == "" && i == len(segments)-1
		case strings.HasPrefix(p, "{"):
			if segments[i] == "" {
				return "", false
			}
			rank += "b"
		default:
			literal, _ := url.PathUnescape(p)
			if segments[i] != literal && segments[i] != p {
				return "", false
			}
			rank += "a"
		}
	}
	return rank, len(pattern) == len(segments)
}
