package authn

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stile-gate/stile/policy"
)

// With Opaque, a text that is none of ours is somebody else's key, and asked for.
func TestOpaqueKeysAreAskedFor(t *testing.T) {
	_, ours := policy.KeyFormat{}.New()
	_, theirs := policy.KeyFormat{Prefix: "other"}.New()
	text := ours.Reveal()
	mistyped := text[:len(text)-1] + map[bool]string{true: "a", false: "b"}[strings.HasSuffix(text, "b")]
	for key, asked := range map[string]map[bool]int{ // by Opaque
		text:                     {true: 1, false: 1},
		mistyped:                 {true: 0, false: 0},
		theirs.Reveal():          {true: 1, false: 0},
		"legacy-key":             {true: 1, false: 0},
		strings.Repeat("x", 512): {true: 1, false: 0},
		strings.Repeat("x", 513): {true: 0, false: 0},
		"short":                  {true: 0, false: 0},
		"with a space":           {true: 0, false: 0},
		"umlauts-äöü":            {true: 0, false: 0},
		"control-\x01-character": {true: 0, false: 0},
	} {
		for opaque, times := range asked {
			for _, known := range []bool{true, false} {
				b := &books{keys: map[string]*policy.Identity{}}
				if known {
					b.keys[key] = acme("k1")
				}
				a := newAPIKey(t, APIKeyOptions{Header: "X-API-Key", Opaque: opaque, Keys: b})
				found, err := a.Authenticate(t.Context(), &policy.Request{Header: http.Header{"X-Api-Key": {key}}})
				if b.asked != times || (found != nil) != (known && times > 0) {
					t.Errorf("%.30q, opaque %t, known %t: asked %d times, found %v, %v", key, opaque, known, b.asked, found, err)
				}
				if found == nil && (policy.ReasonOf(err) != policy.BadCredential || strings.Contains(err.Error(), key)) {
					t.Errorf("%.30q, opaque %t: %v", key, opaque, err)
				}
			}
		}
	}
}
