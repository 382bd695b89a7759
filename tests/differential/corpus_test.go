package differential

import (
	"fmt"
	"slices"
	"strings"
)

// seeds are what somebody wants to reach and may not.
var seeds = []string{"/admin", "/admin/x", "/v1/x", "/v1/admin/x", "/files/secret/x", "/data/secret/x", "/data/key", "/t/acme/secrets", "/@me/admin", "/~maria/x", "/v1.0/x"}

// doors are public places to start from.
var doors = []string{"/open/", "/static/", "/files/", "/data/", "/t/x/info/"}

// ways are how to write "one up, and then", of which every program knows some.
var ways = []string{
	"../", "..%2f", "..%2F", "%2e%2e/", "%2E%2e/", ".%2e/", "%2E./", "%2e%2e%2f", "%2E%2E%2F", `..\`, "..%5c", "..%5C", "%2e%2e%5c", "..;/", "..;x=1/", "..%3b/", "..%3B%2f",
	"%252e%252e/", "%252e%252e%252f", "..%252f", "..%255c", "%25%32%65%25%32%65/", "%c0%ae%c0%ae/", "%c0%ae%c0%ae%c0%af", "..%c0%af", "..%e0%80%af", "..%ef%bc%8f", "%ef%bc%8e%ef%bc%8e/",
	"..%00/", "..%00", "..%0a/", "..%0d%0a/", "..%09/", "..%20/", "..//", ".././", "./../", "x/../../", ".../", "..%2f%2f", "/../", "//../", "..?/", "..%3f/", "..#/", "..%23/", "..%u2215", "..%zz/", "..%/", "..~/", "..\xc0\xaf",
}

// changes are how to write the same path in another way, or almost the same.
var changes = map[string]func(string) string{
	"as it is":              func(p string) string { return p },
	"first letter escaped":  func(p string) string { return escapedAt(p, 1, "%%%02x") },
	"first letter, capital": func(p string) string { return escapedAt(p, 1, "%%%02X") },
	"last letter escaped":   func(p string) string { return escapedAt(p, len(p)-1, "%%%02X") },
	"all letters escaped":   func(p string) string { return escapedAll(p, "%%%02x") },
	"escaped twice":         func(p string) string { return escapedAt(p, 1, "%%25%02x") },
	"escaped three times":   func(p string) string { return escapedAt(p, 1, "%%2525%02x") },
	"escape escaped":        escapeEscaped,
	"%u":                    func(p string) string { return escapedAt(p, 1, "%%u00%02x") },
	"in capitals":           strings.ToUpper,
	"escaped slashes":       func(p string) string { return "/" + strings.ReplaceAll(p[1:], "/", "%2f") },
	"all slashes escaped":   func(p string) string { return strings.ReplaceAll(p, "/", "%2F") },
	"backslashes":           func(p string) string { return "/" + strings.ReplaceAll(p[1:], "/", `\`) },
	"a backslash first":     func(p string) string { return `/\` + p[1:] },
	"two slashes first":     func(p string) string { return "/" + p },
	"three slashes first":   func(p string) string { return "//" + p },
	"two slashes within": func(p string) string {
		return p[:strings.LastIndexByte(p, '/')] + "/" + p[strings.LastIndexByte(p, '/'):]
	},
	"an escaped one first": func(p string) string { return "/%2f" + p[1:] },
	"a dot first":          func(p string) string { return "/." + p },
	"an escaped dot first": func(p string) string { return "/%2e" + p },
	"dots first":           func(p string) string { return "/.." + p },
	"escaped dots first":   func(p string) string { return "/%2e%2e" + p },
	"parameters first":     func(p string) string { return "/;x=1" + p },
	"parameters within": func(p string) string {
		return p[:strings.LastIndexByte(p, '/')] + ";x=1" + p[strings.LastIndexByte(p, '/'):]
	},
	"a space first": func(p string) string { return "/%20" + p },
	"a NUL first":   func(p string) string { return "/%00" + p },
	"down and up":   func(p string) string { return p + "/../" + p[strings.LastIndexByte(p, '/')+1:] },
}

// tails are what to put behind a path that some program forgets again.
var tails = []string{
	"/", "//", "/.", "/./", "/..", "/%2e", "/%2e%2e", ";", ";x", ";x=1", ";/", ";a=b;c=d/", "%3b", "%3Bx=1", "%3b/", "%00", "%00.html", "%00/", "%0a", "%0d%0aX-A:%20b", "%09", "%20", "%20/", "%2f", "%2F", "%2fx", "%2f%2f", "%5c", "%5Cx", "\\", "\\x",
	"?", "??", "?x", "?/open/x", "?/../open/x", "?x=%2f..%2fopen", "?a;b", "?%zz", "?%00", "#", "#x", "#/open/x", "%23", "%23x", "%3f", "%3Fx", "%25", "%252f", "%2500", "%ff", "%80", "%c3", "\xff", "\x80", "é", "%", "%2", "%zz", "%u0000", ".", "..", "%2e", ".html", ".json", "~", "+", "*", "'", "\"", "`", "<", ">", "|", "^", "{}", "[]", "!", "$", "&", "(", ",", ":", "@", "=", "\x01", "\x7f", "\t", " ", " x",
}

// written by hand: forms of a target, queries, what is let in, and what is in nobody's table.
var written = []string{
	// Forms.
	"*", "", "admin", "open/x", "?x", "?/admin", "#", "#/admin", "http://app.test/admin", "http://app.test/open/x", "http://app.test/open/../admin", "http://app.test//admin", "http://admin.test/open/x", "http://admin.test/admin", "https://app.test/admin",
	"HTTP://app.test/open/x", "http://app.test", "http://app.test?/admin", "http://app.test/?/admin", "http://app.test#/admin", "http:/admin", "http:///admin", "http:admin", "//app.test/admin", "//admin.test/open/x", "///app.test/admin", "/http://app.test/admin",
	"http://user@app.test/open/x", "http://app.test:80/open/x", "http://app.test:8080/open/x", "http://app.test./open/x", "http://app.test@admin.test/open/x", `http://app.test\@admin.test/open/x`, "http://app.test%2fadmin", "http://[::1]/open/x", "http://app.test/open/x?http://admin.test/",
	"ws://app.test/open/x", "ftp://app.test/open/x", "file:///admin", "javascript:/admin", "app.test:80", "app.test/admin", "/open/x HTTP/1.1\tx", "/open/x  ", " /open/x", "\t/open/x",
	// A slash at the end, which many programs do not see.
	"/data/key/", "/data/key/?x", "/data/key;x/", "/data/key/;x", "/data/key%3Bx/", "/data/key;/", "/data/key%3F/", "/data/key/%3F", "/data/key/%23", "/data/key%2F", "/data/%6bey/", "/data/%256bey/", "/data/secret/x/", "/data/secret/x;y/", "/data/secret", "/data/secret/",
	"/docs/secret", "/docs/secret/", "/docs/secret/x", "/docs/%73ecret", "/docs/x", "/docs/x/", "/pages/secret", "/pages/secret/", "/pages/secret/x", "/pages/x/", "/pages/x", "/leaves/secret", "/leaves/secret/", "/leaves/x/", "/v1/admin", "/v1/admin?x", "/v1/%61dmin", "/v1", "/v1/", "/files/secret/x/", "/files/secret/", "/files/secret", "/t/acme/secrets/", "/@me/admin/", "/caf%C3%A9/", "/a%20b/x/", "/~maria", "/~maria/", "/~maria/x/", "/static/x/", "/static/", "/static",
	// Queries.
	"/open/x?a=%zz&role=admin", "/open/x?role=user;role=admin", "/open/x?a=b#c", "/open/x?a b", "/open/x?caf\xc3\xa9", "/open/x?<>\"'|\\^`{}", "/open/x?%00%0a", "/open/x?../../admin", "/open/x?//admin", "/open/x??", "/open/x?", "/open/x?=", "/open/x?&", "/open/x?X-Forwarded-Uri=/admin",
	"/open/x?" + strings.Repeat("a=b&", 1000), "/open/x?" + strings.Repeat("a=b&", 5000), "/v1/x?/open/x", "/admin?/open/x",
	// What is what it seems.
	"/", "/open/", "/open/x", "/open/x/", "/open/x/y/z", "/open/%78", "/%6fpen/x", "/open/%7Ex", "/open/%7ex", "/open/a%20b", "/open/caf%c3%a9", "/open/caf%C3%A9", "/open/%e2%82%ac", "/open/!$&'()*+,:=@", "/open/%21%24%26%27%28%29%2a%2b%2c%3a%3d%40", "/open/...", "/open/.x", "/open/x..", "/open/..x",
	"/static/app.js", "/static/app-1.2.3.min.css", "/static/%61pp.js", "/static/a%2bb", "/files/a", "/files/a%2fb", "/files/a%2Fb", "/files/a%2Fb%2fc", "/files/secret", "/files/Secret%2Fx", "/files/secrets%2Fx", "/data/100%25", "/data/a;v=1", "/data/a%3Bv", "/data/a%3fb", "/data/c%23", "/data/a;b;c/d;e", "/data/%2541", "/data/a%25", "/data/",
	"/@me/x", "/%40me/x", "/@me/%61dmin", "/@me/adm%69n", "/t/acme/info", "/t/%61cme/info", "/t/a%20b/info", "/t/@/info", "/t/admin/info", "/v1.0/x", "/v1%2e0/x", "/v1%2E0/x", "/~maria/x", "/%7emaria/x", "/%7Emaria/x", "/caf%c3%a9", "/caf%C3%A9", "/café", "/cafe", "/cafe%CC%81", "/a%20b/x", "/a+b/x", "/a b/x", "/nowhere", "/openx", "/open", "/Open/x", "/OPEN/x",
	// What an escape that is data could hide, where it is taken.
	"/files/secret%2Fx", "/files/secret%2fx", "/files/%73ecret%2Fx", "/files/..%2Fadmin", "/files/a%2F..%2Fsecret%2Fx", "/files/.%2Fsecret%2Fx", "/files/%2Fsecret%2Fx", "/files/secret%2F", "/files/%2Fadmin", "/files/a%2F%2Fb", "/files/secret%252Fx", "/files/..%2F", "/files/%2e%2e%2Fadmin", "/files/a%2F.",
	"/data/..%3B/admin", "/data/..;/..;/admin", "/data/%252e%252e/admin", "/data/%252E%252E%252Fadmin", "/data/secret%252Fx", "/data/secret;a/x", "/data/secret;a=b/x;c", "/data/secret%3Ba/x", "/data/secret/x%3Fy", "/data/secret/x%23y", "/data/secret%3F/x", "/data/;/secret/x", "/data/%73ecret/x", "/data/%2573ecret/x", "/data/%252573ecret/x",
	"/data/secret/x;y", "/data/secret/x%2500", "/data/x%253B/../secret", "/data/a%255Cb", "/data/%255c..%255csecret", "/data/secret%255Cx", "/data/x%3F/../secret/x", "/data/x%23/../secret/x", "/data/..%3F", "/data/%25%32%65%25%32%65/admin", "/data/%25252e%25252e/admin", "/data/a%25zz", "/data/a%252", "/data/..%253B/admin",
	// Long.
	"/open/" + strings.Repeat("a", 2000), "/open/" + strings.Repeat("a", 9000), "/open" + strings.Repeat("/..", 500) + "/admin", "/open/" + strings.Repeat("%61", 600), strings.Repeat("/open", 400) + "/../admin",
}

// corpus is every target once, in a fixed order.
func corpus() []string {
	all := slices.Clone(written)
	for i, seed := range seeds {
		for _, change := range changes {
			all = append(all, change(seed))
		}
		// Every way from one door, and every door by one way, for each seed.
		for j, way := range ways {
			all = append(all, doors[(i+j)%len(doors)]+way+seed[1:])
		}
		for _, door := range doors {
			all = append(all, door+"../"+seed[1:], strings.TrimSuffix(door, "/")+"%2f..%2f"+seed[1:], strings.TrimSuffix(door, "/")+";"+seed, door+"x"+strings.Repeat("/..", strings.Count(door, "/"))+seed)
		}
	}
	for i, tail := range tails {
		all = append(all, seeds[i%len(seeds)]+tail, "/admin"+tail, "/@me/admin"+tail, "/files/secret/x"+tail, "/data/key"+tail, "/open/x"+tail, "/data/x"+tail)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func escapedAt(p string, i int, format string) string {
	return p[:i] + fmt.Sprintf(format, p[i]) + p[i+1:]
}

// escapeEscaped writes the digits of an escape as escapes: %%36%31 is %61 is a.
func escapeEscaped(p string) string {
	digits := fmt.Sprintf("%02x", p[1])
	return p[:1] + fmt.Sprintf("%%%%%02x%%%02x", digits[0], digits[1]) + p[2:]
}

func escapedAll(p, format string) string {
	var b strings.Builder
	for i := range len(p) {
		if p[i] == '/' {
			b.WriteByte('/')
		} else {
			fmt.Fprintf(&b, format, p[i])
		}
	}
	return b.String()
}
