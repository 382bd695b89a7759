package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// report collects problems. It remembers what could not be read, so that the same mistake
// is not reported again by what depends on it.
type report struct {
	*source
	problems Problems
	unread   map[string]bool // paths
	around   map[string]bool // those, and all that hold them
	odd      map[string]bool // mappings with an unknown option
}

func newReport(s *source) *report {
	return &report{source: s, unread: map[string]bool{}, around: map[string]bool{}, odd: map[string]bool{}}
}

// errorf adds an error about what stands, or should, at a path.
func (r *report) errorf(path []step, format string, args ...any) {
	_, line := r.find(path)
	r.add(line, path, fmt.Sprintf(format, args...))
}

// unreadable adds an error about what stands at a path and could not be read.
func (r *report) unreadable(line int, path []step, text string) {
	r.add(line, path, text)
	r.unread[pathKey(path)] = true
	for i := range len(path) + 1 {
		r.around[pathKey(path[:i])] = true
	}
}

// warnf adds a warning.
func (r *report) warnf(path []step, format string, args ...any) {
	_, line := r.find(path)
	r.add(line, path, fmt.Sprintf(format, args...))
	r.problems[len(r.problems)-1].Warning = true
}

func (r *report) add(line int, path []step, text string) {
	if owner, _ := r.owner(path); owner != "" {
		text = owner + ": " + text
	}
	r.problems = append(r.problems, r.problem(line, text))
}

// unsure tells whether a value may not be what was meant: it, or what holds it, could not
// be read, or is missing where an unknown option may be a mistyped one.
func (r *report) unsure(path []step) bool {
	if len(r.unread) == 0 {
		return false
	}
	for i := range len(path) + 1 {
		key := pathKey(path[:i])
		if r.unread[key] || r.odd[key] && i < len(path) && !r.has(path[:i+1]) {
			return true
		}
	}
	return false
}

// touched is unsure for a value with all its parts.
func (r *report) touched(path []step) bool {
	return r.unsure(path) || len(r.around) > 0 && r.around[pathKey(path)]
}

// below is the path one step further down.
func below(path []step, s step) []step { return append(slices.Clip(path), s) }

func pathKey(path []step) string {
	var b strings.Builder
	for _, p := range path {
		b.WriteByte('/')
		if p.name == "" {
			b.WriteString(strconv.Itoa(p.index))
		}
		b.WriteString(p.name)
	}
	return b.String()
}

// optionName writes a path for people: jwt.issuer, keys[0].hash.
func optionName(path []step) string {
	var b strings.Builder
	for _, p := range path {
		if p.name == "" {
			fmt.Fprintf(&b, "[%d]", p.index)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(p.name)
	}
	return b.String()
}
