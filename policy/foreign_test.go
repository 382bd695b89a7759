package policy

import (
	"strings"
	"testing"
)

func TestCheckForeign(t *testing.T) {
	var f KeyFormat
	_, ours := f.New()
	text := ours.Reveal()
	mistyped := text[:len(text)-1] + string(map[bool]byte{true: 'a', false: 'b'}[text[len(text)-1] == 'b'])
	for key, want := range map[string]bool{
		"12345678": true, "!~#?/,;:": true, "AKIA-legacy.key=": true, strings.Repeat("x", 512): true,
		text[:len(text)-1]: true, "other" + text[len("stile"):]: true,
		"": false, "1234567": false, strings.Repeat("x", 513): false, "1234 5678": false, "1234567\t": false, "1234567é": false,
		"1234567\x00": false, "1234567\x7f": false, text: false, mistyped: false,
	} {
		if err := f.CheckForeign(key); (err == nil) != want || err != nil && strings.Contains(err.Error(), "1234") {
			t.Errorf("%q: %v", key, err)
		}
	}
	if !f.OfForm(mistyped) || f.OfForm("12345678") {
		t.Error("a mistyped key is of the form of one")
	}
}
