package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// pattern is a route's `match:`, in the forms of http.ServeMux: [METHOD ][HOST]/[PATH],
// with {name} for one segment, {name...} or a last slash for the rest, {$} for an end
// behind a slash; a host may also be *.domain, for every host below the domain.
type pattern struct {
	text     string
	method   string // "" for every method
	host     string // "" for every host; lower case; *.domain with its star
	segments []segment
}

type segment struct {
	kind segmentKind
	text string // of a literal, canonical; "" behind a last slash
}

type segmentKind uint8

const (
	segmentLiteral segmentKind = iota
	segmentOne                 // {name}
	segmentRest                // {name...}, always last
)

// parsePattern reads the text of a pattern.
func parsePattern(text string) (pattern, error) {
	p := pattern{text: text}
	rest := text
	if method, after, ok := strings.Cut(text, " "); ok {
		p.method, rest = method, strings.TrimLeft(after, " \t")
		if err := checkMethod(method); err != nil {
			return p, err
		}
	}
	slash := strings.IndexByte(rest, '/')
	if slash < 0 {
		return p, errors.New("pattern has no path; the form is [METHOD ][HOST]/[PATH]")
	}
	if err := p.setHost(rest[:slash]); err != nil {
		return p, err
	}
	return p, p.setPath(rest[slash+1:])
}

func checkMethod(method string) error {
	if !isToken(method) || strings.ToUpper(method) != method {
		return fmt.Errorf("%q is not a method; methods are written in capitals", method)
	}
	if method == "TRACE" || method == "CONNECT" {
		return fmt.Errorf("method %s is refused on every route", method)
	}
	if !slices.Contains(registeredMethods(), method) {
		// A misspelt one would leave its path to a wider route.
		return fmt.Errorf("%s is no registered method (RFC 9110 §16.1)", method)
	}
	return nil
}

// registeredMethods are those of IANA's registry, and PURGE, which caches know.
func registeredMethods() []string {
	return strings.Fields(`GET HEAD POST PUT PATCH DELETE OPTIONS ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT COPY
		LABEL LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE ORDERPATCH PROPFIND
		PROPPATCH QUERY REBIND REPORT SEARCH UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE UPDATEREDIRECTREF
		VERSION-CONTROL PURGE`)
}

func (p *pattern) setHost(text string) error {
	if text == "" {
		return nil
	}
	if text == "*" {
		return errors.New("a pattern for every host begins with its path: leave the * out")
	}
	bare, below := strings.CutPrefix(text, "*.")
	host, port, err := parseHost(bare)
	if err == nil && below {
		err = checkDomain(host)
	}
	if err != nil {
		return err
	}
	if port != 0 {
		return errors.New("a pattern's host has no port; name ports in hosts")
	}
	if host != bare {
		return fmt.Errorf("write the host as %q", host)
	}
	p.host = text
	return nil
}

// setPath reads what stands behind the first slash.
func (p *pattern) setPath(path string) error {
	names := map[string]bool{}
	texts := strings.Split(path, "/")
	for i, text := range texts {
		last := i == len(texts)-1
		s, name, err := parseSegment(text, last)
		if err != nil {
			return err
		}
		if name != "" && names[name] {
			return fmt.Errorf("two wildcards are called %q", name)
		}
		names[name] = true
		p.segments = append(p.segments, s)
	}
	return nil
}

func parseSegment(text string, last bool) (s segment, name string, err error) {
	if !strings.ContainsAny(text, "{}") {
		if text == "" && last {
			return segment{kind: segmentRest}, "", nil // a last slash stands for all below
		}
		s, err := parseLiteral(text)
		return s, "", err
	}
	name, ok := strings.CutPrefix(text, "{")
	name, closed := strings.CutSuffix(name, "}")
	if !ok || !closed {
		return s, "", fmt.Errorf("in %q, a wildcard must be the whole segment", text)
	}
	if name == "$" {
		if !last {
			return s, "", errors.New("{$} must be last")
		}
		return segment{}, "", nil
	}
	name, rest := strings.CutSuffix(name, "...")
	if rest && !last {
		return s, "", fmt.Errorf("%q must be last", text)
	}
	if !isIdentifier(name) {
		return s, "", fmt.Errorf("%q has no valid name; it takes letters, digits and _", text)
	}
	if rest {
		return segment{kind: segmentRest}, name, nil
	}
	return segment{kind: segmentOne}, name, nil
}

// parseLiteral wants a segment in its canonical form, and one that has no other reading.
func parseLiteral(text string) (segment, error) {
	if strings.ContainsAny(text, "?#") {
		return segment{}, fmt.Errorf("path segment %q can match nothing: a pattern has no query and no fragment", text)
	}
	t, err := parseTarget("/" + text)
	switch {
	case text == "":
		return segment{}, errors.New("an empty path segment can match nothing")
	case err != nil:
		return segment{}, fmt.Errorf("path segment %q can match nothing: %w", text, err)
	case t.path != "/"+text:
		return segment{}, fmt.Errorf("write path segment %q as %q", text, t.path[1:])
	}
	if decoded := decodePlain(t.path); decoded != t.path {
		return segment{}, fmt.Errorf("write path segment %q as %q, which means the same", text, decoded[1:])
	}
	return segment{text: text}, nil
}

func isIdentifier(name string) bool {
	for i := range len(name) {
		c := name[i]
		digit := c >= '0' && c <= '9'
		if c != '_' && (class[c]&unreserved == 0 || strings.IndexByte("-.~", c) >= 0) || i == 0 && digit {
			return false
		}
	}
	return name != ""
}

// encoded is what the literals of the pattern hold of Encoded.
func (p pattern) encoded() (e Encoded) {
	for _, s := range p.segments {
		if t, err := parseTarget("/" + s.text); err == nil && s.kind == segmentLiteral {
			e |= t.encoded
		}
	}
	return e
}

// relation says how the sets of requests that two patterns match lie to each other.
type relation uint8

const (
	same relation = iota
	narrower
	wider
	overlapping
	disjoint
)

// and combines the relations of two independent parts of a pattern.
func (r relation) and(s relation) relation {
	switch {
	case r == disjoint || s == disjoint:
		return disjoint
	case r == same || r == s:
		return s
	case s == same:
		return r
	default:
		return overlapping
	}
}

// compare says how p lies to q, their hosts being the same.
func (p pattern) compare(q pattern) relation {
	return compareMethods(p.method, q.method).and(comparePaths(p.segments, q.segments))
}

func compareMethods(a, b string) relation {
	switch {
	case a == b:
		return same
	case b == "" || b == "GET" && a == "HEAD":
		return narrower
	case a == "" || a == "GET" && b == "HEAD":
		return wider
	default:
		return disjoint
	}
}

func comparePaths(a, b []segment) relation {
	r := same
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].kind == segmentRest && b[0].kind == segmentRest:
			return r
		case b[0].kind == segmentRest:
			return r.and(narrower)
		case a[0].kind == segmentRest:
			return r.and(wider)
		}
		r = r.and(compareSegments(a[0], b[0]))
		if r == disjoint {
			return disjoint
		}
		a, b = a[1:], b[1:]
	}
	if len(a) != len(b) {
		return disjoint
	}
	return r
}

func compareSegments(a, b segment) relation {
	switch {
	case a.kind == b.kind && a.text == b.text:
		return same
	case a.kind == segmentOne && b.text != "":
		return wider
	case b.kind == segmentOne && a.text != "":
		return narrower
	default:
		return disjoint
	}
}

// claims tells whether p, but for a slash at the end, singles out some of the paths that q
// stands for: whoever asks for /data/key/ where /data/key and /data/ are patterns.
func (p pattern) claims(q pattern) bool {
	for _, segments := range [][]segment{q.segments, withoutSlash(q.segments)} {
		if r := comparePaths(withoutSlash(p.segments), segments); r == narrower || r == overlapping {
			return true
		}
	}
	return false
}

// withoutSlash is a pattern's path without what stands for a slash at its end.
func withoutSlash(segments []segment) []segment {
	if last := len(segments) - 1; segments[last].kind == segmentRest || segments[last] == (segment{}) {
		return segments[:last]
	}
	return segments
}

// open tells whether the pattern stands for more than one path.
func (p pattern) open() bool {
	return slices.ContainsFunc(p.segments, func(s segment) bool { return s.kind != segmentLiteral })
}

// example is a path that both patterns match, given that they overlap.
func (p pattern) example(q pattern) string {
	var b strings.Builder
	for i := range max(len(p.segments), len(q.segments)) {
		b.WriteByte('/')
		text := "x"
		for _, segments := range [][]segment{p.segments, q.segments} {
			if i < len(segments) && segments[i].kind == segmentLiteral {
				text = segments[i].text
			}
		}
		b.WriteString(text)
	}
	return b.String()
}
