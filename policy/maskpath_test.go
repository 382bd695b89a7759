package policy

import (
	"strings"
	"testing"
)

func TestMaskPathFindsEscapedKeys(t *testing.T) {
	f := KeyFormat{}
	id, key := f.New()
	text := key.Reveal()
	secret := text[len("stile_")+keyIDLength:]
	for _, path := range []string{
		"/" + text, "/%73tile_" + text[6:], "/stile%5F" + text[6:], "/%2573tile_" + text[6:], "/stile_" + id + "%" + hexOf(secret[0]) + secret[1:],
	} {
		if masked := f.MaskPath(path); strings.Contains(masked, secret[1:]) || !strings.Contains(masked, id) {
			t.Errorf("%s is shown as %s", path, masked)
		}
	}
	for _, path := range []string{"/a%2Fb", "/%zz", "/%", "/100%25", ""} {
		if masked := f.MaskPath(path); masked != path {
			t.Errorf("%s is shown as %s", path, masked)
		}
	}
}

func hexOf(c byte) string {
	const digits = "0123456789ABCDEF"
	return string([]byte{digits[c>>4], digits[c&15]})
}
