package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stile-gate/stile/policy"
)

// source is the text that a Config was read from, kept for the places in it.
type source struct {
	file string
	root *yaml.Node
	// variables is the environment variables that stand in for parts of the text. Nodes
	// made of variables[i] have the line -1-i.
	variables []string
	keys      policy.KeyFormat // what no problem shows
}

// step is one step of a path into the text: a key of a mapping, or an index of a list.
type step struct {
	name  string
	index int
}

// at makes a path of keys and indexes.
func at(path ...any) []step {
	steps := make([]step, len(path))
	for i, p := range path {
		switch p := p.(type) {
		case int:
			steps[i].index = p
		case string:
			steps[i].name = p
		}
	}
	return steps
}

// child is the node one step below another, with the node that shows its line; nil, nil
// when there is none.
func child(n *yaml.Node, s step) (key, value *yaml.Node) {
	switch {
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == s.name {
				return n.Content[i], n.Content[i+1]
			}
		}
	case n.Kind == yaml.SequenceNode && s.index < len(n.Content):
		return n.Content[s.index], n.Content[s.index]
	}
	return nil, nil
}

// find follows a path. The node is nil when the text does not go so far; the line is then
// that of the last step that it does go.
func (s *source) find(path []step) (node *yaml.Node, line int) {
	node, line = s.root, max(s.root.Line, 1)
	for _, p := range path {
		key, value := child(node, p)
		if value == nil {
			return nil, line
		}
		node, line = value, key.Line
	}
	return node, line
}

// has tells whether something stands at a path.
func (s *source) has(path []step) bool {
	node, _ := s.find(path)
	return node != nil
}

// text is the scalar at a path as it was written, with ${…} unexpanded: what messages
// may show.
func (s *source) text(path []step) string {
	if node, _ := s.find(path); node != nil && node.Kind == yaml.ScalarNode {
		return node.Value
	}
	return ""
}

// quote is text in quotes, bounded.
func (s *source) quote(path []step) string { return quote(s.text(path)) }

func quote(text string) string {
	const limit = 80
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return strconv.Quote(text)
}

// quoteURL is quote without what may be a password.
func quoteURL(text string) string {
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		text = "…" + text[i:]
	}
	return quote(text)
}

// expanded tells whether the scalar at a path holds something that must not be shown.
func (s *source) expanded(path []step) bool {
	node, _ := s.find(path)
	return node != nil && expands(node)
}

// reason is the text of an error about the value of an option, unless that could show
// what the value was expanded to.
func (s *source) reason(path []step, option string, err error) string {
	if s.expanded(path) {
		return option + ": " + s.quote(path) + " is not of the form wanted, once expanded"
	}
	return option + ": " + strings.TrimPrefix(err.Error(), option+": ")
}

// problem makes one of a line as find gives it. People put keys where names belong.
func (s *source) problem(line int, text string) Problem {
	text = s.keys.MaskPath(text)
	if line < 0 {
		return Problem{File: s.variables[-1-line], Text: text}
	}
	return Problem{File: s.file, Line: line, Text: text}
}

// owner names the part of the configuration that a path leads into, such as
// `route "orders"`, and returns what is left of the path.
func (s *source) owner(path []step) (name string, rest []step) {
	if len(path) < 2 {
		return "", path
	}
	switch path[0].name {
	case "routes":
		name = s.element("route", path[:2], "name")
	case "consumers":
		name = s.element("consumer", path[:2], "id")
		if len(path) >= 4 && path[2].name == "keys" {
			return name + ": " + s.element("key", path[:4], "id"), path[4:]
		}
	case "authenticators":
		name = "authenticator " + quote(path[1].name)
	case "upstreams":
		name = "upstream " + quote(path[1].name)
	case "limits":
		name = "limit " + quote(path[1].name)
	default:
		return "", path
	}
	return name, path[2:]
}

// element names an element of a list by its id, or by its number from 1 where it has none.
func (s *source) element(kind string, path []step, id string) string {
	if text := s.text(below(path, step{name: id})); text != "" {
		return kind + " " + quote(text)
	}
	return kind + " " + strconv.Itoa(path[len(path)-1].index+1)
}

// At is the line of what stands at a path of keys and indexes, such as At("routes", 2,
// "match"), or of the last part of the path that is there. It is to be given to Problem,
// and is negative when an environment variable stands in for that part.
func (c *Config) At(path ...any) int {
	_, line := c.source.find(at(path...))
	return line
}

// Problem makes a problem of this configuration for a line that At gave.
func (c *Config) Problem(line int, format string, args ...any) Problem {
	return c.source.problem(line, fmt.Sprintf(format, args...))
}

// RouteProblem places an error of policy.NewEngine. It says nothing of a pattern that
// came out of ${…}.
func (c *Config) RouteProblem(err error) Problem {
	line, text := c.At("routes"), err.Error()
	var of *policy.RouteError
	named := errors.As(err, &of)
	for i := len(c.Routes) - 1; i >= 0; i-- { // of two with one name, the first
		r, match := c.Routes[i], at("routes", i, "match")
		own := named && of.Route == r.Name
		if own {
			line = c.At("routes", i, "match")
		}
		if c.source.expanded(match) && (own || strings.Contains(text, strconv.Quote(r.Match))) {
			owner, _ := c.source.owner(match)
			text = owner + ": match " + c.source.quote(match) + " is no pattern, or overlaps another, once expanded"
		}
	}
	return c.Problem(line, "%s", text)
}
