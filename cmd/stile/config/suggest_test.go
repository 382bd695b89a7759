package config

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"burst", "monthly", "listen", "key", "keys"}
	for name, want := range map[string]string{
		"brst":    "burst",  // one left out
		"bursst":  "burst",  // one too many
		"birst":   "burst",  // one changed
		"busrt":   "burst",  // two swapped
		"lisen":   "listen", //
		"lsiten":  "listen", //
		"kye":     "key",    // before keys, which is farther
		"month":   "monthly",
		"mon":     "",
		"quite":   "",
		"":        "",
		"limits":  "",
		"listens": "listen",
	} {
		if got := nearest(name, known, 2); got != want {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestEdits(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"ab", "ba", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}, {"abcdef", "uvwxyz", 5},
	} {
		if got := edits(test.a, test.b, 4); got != test.want {
			t.Errorf("edits(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
		if edits(test.a, test.b, 4) != edits(test.b, test.a, 4) {
			t.Errorf("edits(%q, %q) differs the other way round", test.a, test.b)
		}
	}
}
