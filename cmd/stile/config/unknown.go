package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// unknown reports a key that is no option of a struct: with the option that was meant,
// or else with where an option of that name belongs.
func (d *decoder) unknown(key *yaml.Node, t reflect.Type) {
	hint := didYouMean(key.Value, slices.Collect(maps.Keys(d.fieldsOf(t))))
	if hint == "" {
		var places []string
		d.places(reflect.TypeFor[Config](), key.Value, nil, &places)
		if len(places) > 0 {
			slices.Sort(places)
			hint = "; it belongs " + strings.Join(places, " or ")
		}
	}
	_, rest := d.owner(below(d.path, step{name: key.Value}))
	text := "unknown option " + quote(optionName(rest))
	d.unreadable(key.Line, below(d.path, step{name: key.Value}), text+hint)
	d.odd[pathKey(d.path)] = true
}

// places collects where options of a name belong, anywhere in a type.
func (d *decoder) places(t reflect.Type, name string, under []string, all *[]string) {
	switch {
	case isScalar(t):
		return
	case t.Kind() == reflect.Pointer, t.Kind() == reflect.Slice:
		d.places(t.Elem(), name, under, all)
		return
	case t.Kind() == reflect.Map:
		d.places(t.Elem(), name, append(under, "<name>"), all)
		return
	case t.Kind() != reflect.Struct:
		return
	}
	for option, f := range d.fieldsOf(t) {
		if option == name && len(under) == 0 {
			*all = append(*all, "at the top level")
		} else if option == name {
			*all = append(*all, fmt.Sprintf("under %s:", strings.Join(under, ".")))
		}
		d.places(t.Field(f.index).Type, name, append(slices.Clip(under), option), all)
	}
}
