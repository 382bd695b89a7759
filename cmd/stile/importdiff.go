package main

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"time"
)

// notCompared are fields that a file cannot say, or that the admin API does not show.
var notCompared = []string{
	"key", "hash", "version", "created", "updated", "last_used", "declared", "lineage", "replaced_by",
}

// difference is the first name, in their order, of what a file says otherwise than the
// admin API; "" for none. What is left out is the same as what is empty.
func difference(sent, shown map[string]any) string {
	names := slices.Concat(slices.Collect(maps.Keys(sent)), slices.Collect(maps.Keys(shown)))
	slices.Sort(names)
	for _, name := range names {
		if !slices.Contains(notCompared, name) && !reflect.DeepEqual(canonical(sent[name]), canonical(shown[name])) {
			return name
		}
	}
	return ""
}

// canonical writes times and address ranges in one way, and nothing as nil.
func canonical(value any) any {
	switch v := value.(type) {
	case bool:
		if !v {
			return nil
		}
	case string:
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			return at.UTC()
		}
		if network, err := netip.ParsePrefix(v); err == nil {
			return network
		}
		if v == "" {
			return nil
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
		list := make([]any, len(v))
		for i := range v {
			list[i] = canonical(v[i])
		}
		return list
	}
	return value
}
