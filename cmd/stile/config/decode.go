package config

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stile-gate/stile/policy"
)

// decoder fills structs from a tree. It knows an option by the yaml tag of its field:
// the name, and perhaps one of
//
//	single  a scalar is taken for a list of one
//	empty   a mapping without keys says something
//
// Anything else in the tree is reported.
type decoder struct {
	*report
	*expander
	path   []step // to what is being read
	line   int    // where that stands
	fields map[reflect.Type]map[string]field
}

type field struct {
	index         int
	single, empty bool
}

// defaulter is a struct that does not begin at zero.
type defaulter interface{ setDefaults() }

// fieldsOf lists the options of a struct.
func (d *decoder) fieldsOf(t reflect.Type) map[string]field {
	if fields, ok := d.fields[t]; ok {
		return fields
	}
	fields := map[string]field{}
	for i := range t.NumField() {
		name, flag, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			fields[name] = field{index: i, single: flag == "single", empty: flag == "empty"}
		}
	}
	d.fields[t] = fields
	return fields
}

// wrong reports what stands at the current path.
func (d *decoder) wrong(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if _, rest := d.owner(d.path); len(rest) > 0 {
		text = optionName(rest) + ": " + text
	}
	d.unreadable(d.line, d.path, text)
}

// within reads what stands one step further down.
func (d *decoder) within(s step, line int, n *yaml.Node, v reflect.Value, f field) {
	d.path, d.line = append(d.path, s), line
	d.value(n, v, f)
	d.path = d.path[:len(d.path)-1]
}

// value reads a node into a value of any type that an option has.
func (d *decoder) value(n *yaml.Node, v reflect.Value, f field) {
	t := v.Type()
	switch {
	case d.unsupported(n):
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		d.wrong("expected %s, found nothing", expected(t))
	case isScalar(t):
		d.scalar(n, v)
	case t == reflect.TypeFor[policy.Encoded]():
		d.encoded(n, v)
	case t.Kind() == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		d.value(n, v.Elem(), f)
	case t == reflect.TypeFor[Throttle]() && n.Kind == yaml.ScalarNode && n.Value == "off":
		v.SetZero()
	case t.Kind() == reflect.Struct:
		d.options(n, v, f)
	case t.Kind() == reflect.Map:
		d.names(n, v)
	default:
		d.list(n, v, f)
	}
}

// unsupported reports what YAML has and a configuration does without: text that does not
// say all by itself what it means.
func (d *decoder) unsupported(n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "" || n.ShortTag() == "!!merge":
		d.wrong(noAnchors)
	case n.Style&yaml.TaggedStyle != 0:
		d.wrong("tags are not supported")
	default:
		return false
	}
	return true
}

// options reads a mapping whose keys are options of a struct.
func (d *decoder) options(n *yaml.Node, v reflect.Value, f field) {
	if s, ok := v.Addr().Interface().(defaulter); ok {
		s.setDefaults()
	}
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 && !f.empty {
		d.wrong("an empty mapping does nothing; leave it out")
		return
	}
	fields := d.fieldsOf(v.Type())
	d.mapping(n, v, func(key, value *yaml.Node) {
		if f, ok := fields[key.Value]; ok {
			d.within(step{name: key.Value}, key.Line, value, v.Field(f.index), f)
		} else {
			d.unknown(key, v.Type())
		}
	})
}

// names reads a mapping whose keys are names of the operator's own.
func (d *decoder) names(n *yaml.Node, v reflect.Value) {
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		d.wrong("an empty mapping does nothing; leave it out")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	d.mapping(n, v, func(key, value *yaml.Node) {
		if err := d.keys.CheckPlain(key.Value); err != nil {
			d.path = append(d.path, step{name: key.Value})
			d.wrong("the name: %v", err)
			d.path = d.path[:len(d.path)-1]
			return
		}
		element := reflect.New(v.Type().Elem()).Elem()
		d.within(step{name: key.Value}, key.Line, value, element, field{})
		v.SetMapIndex(reflect.ValueOf(key.Value), element)
	})
}

// mapping calls each for the keys of a mapping that are sound.
func (d *decoder) mapping(n *yaml.Node, v reflect.Value, each func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.wrong("expected %s, found %s", expected(v.Type()), found(n))
		return
	}
	first := make(map[string]int, len(n.Content)/2) // the lines of keys
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		d.line = key.Line
		switch {
		case d.unsupported(key):
		case key.Kind != yaml.ScalarNode || key.Value == "":
			d.wrong("expected a name as a key, found %s", found(key))
		case first[key.Value] != 0:
			d.path = append(d.path, step{name: key.Value})
			d.wrong("stands there twice, first on line %d", first[key.Value])
			d.path = d.path[:len(d.path)-1]
		default:
			first[key.Value] = key.Line
			each(key, n.Content[i+1])
		}
	}
}

// list reads a sequence.
func (d *decoder) list(n *yaml.Node, v reflect.Value, f field) {
	switch {
	case f.single && n.Kind == yaml.ScalarNode:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		d.value(n, v.Index(0), field{})
		return
	case n.Kind != yaml.SequenceNode && f.single:
		d.wrong("expected a string or a list of strings, found %s", found(n))
		return
	case n.Kind != yaml.SequenceNode:
		d.wrong("expected %s, found %s", expected(v.Type()), found(n))
		return
	case len(n.Content) == 0:
		d.wrong("an empty list does nothing; leave it out")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, node := range n.Content {
		d.within(step{index: i}, node.Line, node, v.Index(i), field{})
	}
	if isScalar(v.Type().Elem()) && len(n.Content) > 1 {
		d.repeated(n, v)
	}
}

// repeated reports elements of a list that say nothing new.
func (d *decoder) repeated(n *yaml.Node, v reflect.Value) {
	seen := make(map[any]bool, v.Len())
	for i := range v.Len() {
		path, element := below(d.path, step{index: i}), v.Index(i).Interface()
		if seen[element] && !d.unsure(path) {
			_, rest := d.owner(d.path)
			d.unreadable(n.Content[i].Line, path, fmt.Sprintf("%s: %s stands there twice", optionName(rest), quote(n.Content[i].Value)))
		}
		seen[element] = true
	}
}

// encoded reads a list of names into a set.
func (d *decoder) encoded(n *yaml.Node, v reflect.Value) {
	var names []string
	d.list(n, reflect.ValueOf(&names).Elem(), field{})
	var set policy.Encoded
	for i, name := range names {
		member, err := policy.ParseEncoded(name)
		if path := below(d.path, step{index: i}); err != nil && !d.unsure(path) {
			_, line := d.find(path)
			d.unreadable(line, path, d.reason(path, "encoded", err))
		}
		set |= member
	}
	v.Set(reflect.ValueOf(set))
}
