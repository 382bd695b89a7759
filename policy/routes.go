package policy

import (
	"fmt"
	"strings"
)

// routes finds the one route of a request. Hosts come first, the more specific before
// the wider; then the method; then the path, segment by segment, literals before
// wildcards. Patterns that are not ordered by this do not load, so what is found first
// is the most specific. Nothing is allocated.
type routes struct {
	exact map[string]methods // by host
	below map[string]methods // by ".domain"
	any   methods
}

// methods holds a tree for each method that patterns name, "" for all.
type methods map[string]*node

type node struct {
	literal map[string]*node
	one     *node  // {name}
	rest    *Route // {name...} or a last slash
	end     *Route
}

// buildRoutes indexes routes, whose patterns must be parsed. It reports every pair that
// overlaps without order, naming a path that both match.
func buildRoutes(all []*Route) (*routes, []error) {
	rs := &routes{exact: map[string]methods{}, below: map[string]methods{}, any: methods{}}
	var errs []error
	for _, r := range all {
		trees := rs.trees(r.pattern.host)
		for _, other := range trees.related(r.pattern) {
			relation := r.pattern.compare(other.pattern)
			if relation != same && relation != overlapping {
				continue
			}
			errs = append(errs, &RouteError{Route: r.Name, Err: fmt.Errorf(
				"%q overlaps %q of route %q and neither is more specific: both match %s",
				r.Match, other.Match, other.Name, r.pattern.example(other.pattern))})
		}
		trees.add(r)
	}
	return rs, errs
}

func (rs *routes) trees(host string) methods {
	if host == "" {
		return rs.any
	}
	byHost, key := rs.exact, host
	if domain, ok := strings.CutPrefix(host, "*"); ok {
		byHost, key = rs.below, domain
	}
	if byHost[key] == nil {
		byHost[key] = methods{}
	}
	return byHost[key]
}

func (m methods) add(r *Route) {
	n := m[r.pattern.method]
	if n == nil {
		n = &node{}
		m[r.pattern.method] = n
	}
	for _, s := range r.pattern.segments {
		switch s.kind {
		case segmentRest:
			n.rest = r
			return
		case segmentOne:
			if n.one == nil {
				n.one = &node{}
			}
			n = n.one
		case segmentLiteral:
			if n.literal == nil {
				n.literal = map[string]*node{}
			}
			if n.literal[s.text] == nil {
				n.literal[s.text] = &node{}
			}
			n = n.literal[s.text]
		}
	}
	n.end = r
}

// related collects the routes whose paths overlap that of a pattern. Walking the trees
// keeps a load of n routes far from n² comparisons.
func (m methods) related(p pattern) []*Route {
	var found []*Route
	for method, n := range m {
		if compareMethods(method, p.method) != disjoint {
			n.related(p.segments, &found)
		}
	}
	return found
}

func (n *node) related(segments []segment, found *[]*Route) {
	if n == nil {
		return
	}
	if len(segments) == 0 {
		if n.end != nil {
			*found = append(*found, n.end)
		}
		return
	}
	if n.rest != nil {
		*found = append(*found, n.rest)
	}
	switch s, tail := segments[0], segments[1:]; s.kind {
	case segmentRest:
		n.everything(found)
	case segmentOne:
		n.one.related(tail, found)
		for text, child := range n.literal {
			if text != "" {
				child.related(tail, found)
			}
		}
	case segmentLiteral:
		n.literal[s.text].related(tail, found)
		if s.text != "" {
			n.one.related(tail, found)
		}
	}
}

// everything collects the routes below a node, its own rest excepted.
func (n *node) everything(found *[]*Route) {
	if n == nil {
		return
	}
	for _, child := range n.literal {
		child.everything(found)
		child.collect(found)
	}
	n.one.everything(found)
	n.one.collect(found)
}

// collect adds the routes that end at a node.
func (n *node) collect(found *[]*Route) {
	if n == nil {
		return
	}
	for _, r := range []*Route{n.rest, n.end} {
		if r != nil {
			*found = append(*found, r)
		}
	}
}

// match returns the most specific route, or nil. Path is canonical.
func (rs *routes) match(method, host, path string) *Route {
	return rs.find(method, host, path, false)
}

// matchOtherSlash is match for the same path with the other kind of end: without its last
// slash, or with one more.
func (rs *routes) matchOtherSlash(method, host, path string) *Route {
	if bare, ok := strings.CutSuffix(path, "/"); ok {
		if bare == "" {
			return nil
		}
		return rs.find(method, host, bare, false)
	}
	return rs.find(method, host, path, true)
}

func (rs *routes) find(method, host, path string, slash bool) *Route {
	if trees, ok := rs.exact[host]; ok {
		if r := trees.find(method, path, slash); r != nil {
			return r
		}
	}
	if len(rs.below) > 0 {
		for i := strings.IndexByte(host, '.'); i >= 0; {
			if r := rs.below[host[i:]].find(method, path, slash); r != nil {
				return r
			}
			next := strings.IndexByte(host[i+1:], '.')
			if next < 0 {
				break
			}
			i += 1 + next
		}
	}
	return rs.any.find(method, path, slash)
}

func (m methods) find(method, path string, slash bool) *Route {
	if len(m) == 0 {
		return nil
	}
	if r := m[method].find(path[1:], true, slash); r != nil {
		return r
	}
	if method == "HEAD" {
		if r := m["GET"].find(path[1:], true, slash); r != nil {
			return r
		}
	}
	return m[""].find(path[1:], true, slash)
}

// find walks the tree along what is left of a path; more tells whether a segment is, and
// slash whether the path ends with one more slash than its text.
func (n *node) find(left string, more, slash bool) *Route {
	switch {
	case n == nil:
		return nil
	case !more && slash:
		return n.find("", true, false)
	case !more:
		return n.end
	}
	segment, tail, again := strings.Cut(left, "/")
	if r := n.literal[segment].find(tail, again, slash); r != nil {
		return r
	}
	if segment != "" {
		if r := n.one.find(tail, again, slash); r != nil {
			return r
		}
	}
	return n.rest
}
