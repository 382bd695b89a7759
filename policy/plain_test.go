package policy

import (
	"strings"
	"testing"
)

func TestPlainTextHoldsNoKey(t *testing.T) {
	f := KeyFormat{Prefix: "acme"}
	id, key := f.New()
	text := key.Reveal()
	for _, held := range []string{text, "key " + text, text + "!", "a/" + text + "/b", "%61cme_" + text[5:], text[:len(text)-1], mistyped(text)} {
		err := f.CheckPlain(held)
		if err == nil {
			t.Errorf("%q is taken for plain", held)
		} else if strings.Contains(err.Error(), id) || f.Mask(err.Error()) != err.Error() {
			t.Errorf("the error shows the key: %v", err)
		}
	}
	for _, plain := range []string{"", "acme", "acme_short", id, "100%", "größe", "stile_" + text[5:15]} {
		if err := f.CheckPlain(plain); err != nil {
			t.Errorf("%q: %v", plain, err)
		}
	}
}

func mistyped(text string) string {
	last := byte('a')
	if text[len(text)-1] == last {
		last = 'b'
	}
	return text[:len(text)-1] + string(last)
}

func TestIsKeyID(t *testing.T) {
	id, key := KeyFormat{}.New()
	for text, want := range map[string]bool{id: true, id + "x": false, id[1:]: false, "": false, "old-key-01": false, key.Reveal(): false} {
		if IsKeyID(text) != want {
			t.Errorf("%q", text)
		}
	}
}
