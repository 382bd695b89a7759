package store

import "slices"

// InspectedRights are those that an inspection tries, in order.
func InspectedRights() (rights []string) {
	for _, a := range attempts("stile:{doctor}:x", redisURL{shape: cluster}) {
		rights = append(rights, a.right)
	}
	slices.Sort(rights)
	return slices.Compact(rights)
}
