package policy

import (
	"strings"
	"testing"
)

func TestAKeyIsMaskedWhereverItStands(t *testing.T) {
	f := KeyFormat{}
	id, key := f.New()
	for text, want := range map[string]string{
		"":                                  "",
		"/v1/orders":                        "/v1/orders",
		"stile_short":                       "stile_short",
		key.Reveal():                        "stile_" + id + "…",
		"/a/" + key.Reveal() + "/b":         "/a/stile_" + id + "…/b",
		key.Reveal() + "," + key.Reveal():   "stile_" + id + "…,stile_" + id + "…",
		"stile_x " + key.Reveal():           "stile_x stile_" + id + "…",
		key.Reveal()[:len(key.Reveal())-10]: "stile_" + id + "…",
	} {
		if got := f.Mask(text); got != want || strings.Contains(got, key.Reveal()) {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}
