package config

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stile-gate/stile/policy"
)

// envAdminToken holds the admin token itself, in which it differs from admin.token.
const envAdminToken = "STILE_ADMIN_TOKEN"

// minSecret is the least length of a secret that people choose, in bytes.
const minSecret = 16

// override is an environment variable that stands in for an option.
type override struct {
	variable string
	path     []step
	list     bool // its value is separated by commas
}

func overrides() []override {
	return []override{
		{"STILE_LISTEN_AUTH", at("listen", "auth"), false},
		{"STILE_LISTEN_PROXY", at("listen", "proxy"), false},
		{"STILE_LISTEN_ADMIN", at("listen", "admin"), false},
		{"STILE_STORE", at("store"), false},
		{"STILE_TRUST", at("trust"), true},
		{"STILE_HOSTS", at("hosts"), true},
		{"STILE_LOG_LEVEL", at("log", "level"), false},
	}
}

// override puts the values of variables into the tree, each marked with the variable it
// came from, so that all that follows reads and reports them like the text around them.
func (r *report) override(variables map[string]string) {
	var known []string
	for _, o := range overrides() {
		known = append(known, o.variable)
		if value, ok := variables[o.variable]; ok {
			r.variables = append(r.variables, o.variable)
			graft(r.root, o.path, o.node(value, -len(r.variables)))
		}
	}
	known = append(known, envAdminToken)
	cli := []string{"STILE_ADMIN", "STILE_TOKEN"} // of the commands that talk to a server
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if !strings.HasPrefix(name, "STILE_") || slices.Contains(known, name) || slices.Contains(cli, name) {
			continue
		}
		// Others are left alone: Kubernetes sets STILE_PORT, STILE_SERVICE_HOST and more
		// for a Service that is called stile.
		best := nearest(name, known, 2)
		if best != "" {
			r.problems = append(r.problems, Problem{File: name, Text: "unknown variable; did you mean " + best + "?"})
		} else if strings.HasPrefix(name, "STILE_LISTEN_") {
			r.problems = append(r.problems, Problem{File: name, Text: "unknown variable; the listeners are AUTH, PROXY and ADMIN"})
		}
	}
}

func (o override) node(value string, line int) *yaml.Node {
	if !o.list {
		return scalarNode(value, line)
	}
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: line}
	for element := range strings.SplitSeq(value, ",") {
		n.Content = append(n.Content, scalarNode(strings.TrimSpace(element), line))
	}
	return n
}

func scalarNode(value string, line int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value, Line: line}
}

// graft puts a node where a path leads, in place of what is there. It makes the mappings
// on the way; where something else stands there, that is for the decoder to report.
func graft(n *yaml.Node, path []step, value *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return
	}
	key := scalarNode(path[0].name, value.Line)
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != key.Value {
			continue
		}
		if len(path) > 1 {
			graft(n.Content[i+1], path[1:], value)
		} else {
			n.Content[i], n.Content[i+1] = key, value
		}
		return
	}
	if len(path) > 1 {
		inner := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: value.Line}
		graft(inner, path[1:], value)
		value = inner
	}
	n.Content = append(n.Content, key, value)
}

// adminToken takes the token from the environment, as its hash.
func (c *Config) adminToken(r *report, variables map[string]string) {
	token, ok := variables[envAdminToken]
	if !ok {
		return
	}
	p := Problem{File: envAdminToken}
	switch {
	case len(token) < minSecret:
		p.Text = "a token has 16 bytes or more"
	case c.Listen.Admin == adminOff:
		p.Text, p.Warning = "does nothing while listen.admin is off", true
	}
	if p.Text != "" {
		r.problems = append(r.problems, p)
	}
	c.Admin.EnvToken = policy.PlainKeyHash(policy.NewSecret(token))
}
