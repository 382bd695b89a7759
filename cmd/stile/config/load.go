package config

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stile-gate/stile/policy"
)

// Load reads the configuration at a path, with the overrides that environ, in the form of
// os.Environ, holds for it.
//
// Where there are errors, the Config is what could be read all the same, so that further
// checks can add theirs; it is not fit to serve. It is nil when the file is not YAML.
func Load(path string, environ []string) (*Config, Problems) {
	data, err := readFile(path, maxFile)
	if err != nil {
		return nil, Problems{{File: path, Text: err.Error()}}
	}
	return Parse(path, data, environ)
}

// Parse is Load for a text that was read already. Name stands in problems, and its folder
// is where relative paths begin.
func Parse(name string, data []byte, environ []string) (*Config, Problems) {
	root, line, err := parseText(data)
	if err != nil {
		return nil, Problems{{File: name, Line: line, Text: err.Error()}}
	}
	variables := variablesOf(environ)
	r := newReport(&source{file: name, root: root})
	r.override(variables)
	d := &decoder{
		report:   r,
		expander: &expander{environ: variables, folder: filepath.Dir(name), read: map[string]string{}},
		line:     root.Line,
		fields:   map[reflect.Type]map[string]field{},
	}
	r.keys.Prefix = d.keyPrefix()
	c := &Config{source: r.source}
	d.value(root, reflect.ValueOf(c).Elem(), field{})
	c.adminToken(r, variables)
	for _, a := range c.Authenticators {
		if a.JWT != nil && a.JWT.JWKSFile != "" {
			a.JWT.JWKSFile = d.absolute(a.JWT.JWKSFile)
		}
	}
	if path, ok := strings.CutPrefix(c.Store.Reveal(), "file:"); ok && path != "" && !strings.HasPrefix(path, "//") {
		c.Store = policy.NewSecret("file:" + d.absolute(path))
	}
	c.check(r)
	c.Files = slices.Sorted(slices.Values(d.files))
	r.problems.Sort()
	return c, r.problems
}

// keyPrefix is keys.prefix ahead of all else, since a key must be known wherever it stands;
// "" for the default.
func (d *decoder) keyPrefix() string {
	node, _ := d.find(at("keys", "prefix"))
	if node == nil || node.Kind != yaml.ScalarNode {
		return ""
	}
	text := node.Value
	if expands(node) {
		text, _ = d.expand(text) // what is wrong with it is said when it is read
	}
	if !isPrefix(text) {
		return ""
	}
	return text
}

// variablesOf reads the form of os.Environ; of two with one name the first counts, as for
// os.Getenv.
func variablesOf(environ []string) map[string]string {
	variables := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if _, ok := variables[name]; !ok {
			variables[name] = value
		}
	}
	return variables
}

// RestartNeeded names the options that differ and that a reload cannot change.
func RestartNeeded(running, next *Config) []string {
	var names []string
	for _, option := range []struct {
		name string
		same bool
	}{
		{"listen.auth", running.Listen.Auth == next.Listen.Auth},
		{"listen.proxy", running.Listen.Proxy == next.Listen.Proxy},
		{"listen.admin", running.Listen.Admin == next.Listen.Admin},
		{"store", running.Store.Reveal() == next.Store.Reveal()},
	} {
		if !option.same {
			names = append(names, option.name)
		}
	}
	return names
}
