package policy

import (
	"regexp"
	"strings"
	"testing"
)

func TestAKeyIsReadAsItWasMade(t *testing.T) {
	form := regexp.MustCompile(`^[0-9A-Za-z]+_[0-9A-Za-z]{48}$`)
	for _, f := range []KeyFormat{{}, {Prefix: "acme"}, {Prefix: "x"}} {
		seen := map[string]bool{}
		for range 200 {
			id, key := f.New()
			text := key.Reveal()
			if got, err := f.Parse(text); err != nil || got != id {
				t.Fatalf("%+v: id is read as %q (%v), want %q", f, got, err, id)
			}
			if !form.MatchString(text) || !strings.HasPrefix(text, f.prefix()+"_"+id) {
				t.Fatalf("%+v: a key is not of the form", f)
			}
			if seen[id] || seen[text] {
				t.Fatalf("%+v: a key was made twice", f)
			}
			seen[id], seen[text] = true, true
		}
	}
}

func TestTheFormOfAKeyIsForEver(t *testing.T) {
	const key = "stile_0123456789abcdefghijklmnopqrstuvwxyzABCDEF03jKFH" // checksum by Python's zlib.crc32
	if id, err := (KeyFormat{}).Parse(key); err != nil || id != "0123456789" {
		t.Errorf("id is %q (%v)", id, err)
	}
}

func TestEveryTypingMistakeShows(t *testing.T) {
	_, secret := KeyFormat{}.New()
	key := secret.Reveal()
	var f KeyFormat
	for i := range len(key) {
		for _, c := range []byte{'0', 'z', 'A', '_', '-', ' ', 0, 0x80} {
			if key[i] != c {
				wrong := key[:i] + string([]byte{c}) + key[i+1:]
				if _, err := f.Parse(wrong); err == nil {
					t.Errorf("byte %d changed to %q passes", i, c)
				}
			}
		}
		if _, err := f.Parse(key[:i]); err == nil {
			t.Errorf("the first %d bytes pass", i)
		}
		if _, err := f.Parse(key[i+1:]); err == nil {
			t.Errorf("without the first %d bytes it passes", i+1)
		}
		if i+1 < len(key) && key[i] != key[i+1] {
			if _, err := f.Parse(key[:i] + key[i+1:i+2] + key[i:i+1] + key[i+2:]); err == nil {
				t.Errorf("bytes %d and %d swapped pass", i, i+1)
			}
		}
	}
}

func TestWhatIsNoKey(t *testing.T) {
	_, secret := KeyFormat{}.New()
	key := secret.Reveal()
	body := strings.TrimPrefix(key, "stile_")
	for why, text := range map[string]string{
		"nothing":                    "",
		"the prefix alone":           "stile_",
		"another prefix":             "acme__" + body,
		"the prefix in capitals":     "STILE_" + body,
		"no prefix":                  body,
		"a hyphen for the underline": "stile-" + body,
		"space before":               " " + key,
		"space behind":               key + " ",
		"a line break behind":        key + "\n",
		"a NUL behind":               key + "\x00",
		"two keys":                   key + key,
		"two keys in a list":         key + ", " + key,
		"the body in capitals":       "stile_" + strings.ToUpper(body),
		"a scheme before":            "Bearer " + key,
		"a glob":                     "stile_" + strings.Repeat("*", keyBodyLength),
		"a letter outside ASCII":     "stile_" + strings.Repeat("é", keyBodyLength/2),
		"very long":                  "stile_" + strings.Repeat("a", 1<<20),
	} {
		id, err := (KeyFormat{}).Parse(text)
		if err == nil || id != "" {
			t.Errorf("%s: passes, as id %q", why, id)
		}
	}
	if _, err := (KeyFormat{Prefix: "acme"}).Parse(key); err == nil {
		t.Error("a key with one prefix is a key with another")
	}
}

func TestTheErrorOfAKeyHoldsNothingOfIt(t *testing.T) {
	_, secret := KeyFormat{}.New()
	key := secret.Reveal()
	for _, wrong := range []string{key[:len(key)-1] + "!", key[:20], strings.ToLower(key), key + "x"} {
		_, err := (KeyFormat{}).Parse(wrong)
		if err == nil {
			continue // its lower case may be itself
		}
		for i := 0; i+6 <= len(key); i++ {
			if i >= len("stile_") && strings.Contains(err.Error(), key[i:i+6]) {
				t.Errorf("error %q tells bytes %d to %d", err, i, i+6)
			}
		}
	}
}

func TestRandomDigitsAreAlikeLikely(t *testing.T) {
	const each = 2000
	counts := map[rune]int{}
	for _, c := range randomBase62(62 * each) {
		counts[c]++
	}
	for _, c := range base62 {
		if n := counts[c]; n < each*8/10 || n > each*12/10 { // nine standard deviations
			t.Errorf("%c came %d times of about %d", c, n, each)
		}
	}
	for _, n := range []int{0, 1, 63, 64, 65, 1000} {
		if got := len(randomBase62(n)); got != n {
			t.Errorf("%d digits wanted, %d got", n, got)
		}
	}
}

func TestTheHashOfAKey(t *testing.T) {
	const ( // by Python's hashlib and hmac
		plain    = "sha256:24175e1eac86b488553b051eb55864a0cf4ecb549847441e43e6dda3605ac475"
		peppered = "hmac-sha256:2:e1b7ddec66570205fb917038911cc141d29879ff92ab596e79d0b8646979bb00"
	)
	key := NewSecret("stile_x")
	if got := PlainKeyHash(key); got != plain {
		t.Errorf("plain hash is %s, want %s", got, plain)
	}
	if got := (Pepper{}).HashKey(key); got != plain {
		t.Errorf("without a pepper the hash is %s", got)
	}
	if got := (Pepper{Version: 2, Secret: NewSecret("pepper")}).HashKey(key); got != peppered {
		t.Errorf("peppered hash is %s, want %s", got, peppered)
	}
	for _, hash := range []string{plain, peppered, (Pepper{Version: 10, Secret: NewSecret("p")}).HashKey(key)} {
		if err := CheckKeyHash(hash); err != nil {
			t.Errorf("%s: %v", hash, err)
		}
	}
}

func TestWhatIsNoHashOfAKey(t *testing.T) {
	digest := strings.Repeat("0f", 32)
	for _, text := range []string{
		"", "sha256", "sha256:", digest, "sha256:" + digest[1:], "sha256:" + digest + "0", "sha256:" + strings.ToUpper(digest),
		"SHA256:" + digest, "sha256: " + digest[1:], "sha256:" + digest + "\n", "sha1:" + digest, "md5:" + digest, "sha256:1:" + digest,
		"hmac-sha256:" + digest, "hmac-sha256:0:" + digest, "hmac-sha256:-1:" + digest, "hmac-sha256:+1:" + digest, "hmac-sha256:01:" + digest,
		"hmac-sha256:x:" + digest, "hmac-sha256::" + digest, "hmac-sha256:1:" + digest[1:], "hmac-sha256:1:2:" + digest, "hmac-sha256:99999999999999999999:" + digest,
		"sha256:" + strings.Repeat("g", 64), "stile_" + digest,
	} {
		if CheckKeyHash(text) == nil {
			t.Errorf("%q is taken for a hash", text)
		}
	}
}

func TestAnID(t *testing.T) {
	for _, id := range []string{"a", "acme", "0", "Acme.Ltd_1", "alice@example.com", "a-b", strings.Repeat("a", 128)} {
		if err := CheckID(id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []string{
		"", "-a", ".a", "_a", "@a", "..", "a b", "a/b", "a:b", "a{b}", "a}", "a*", "a\r\nb", "a\x00", "é", "a,b", "a%2F", "a?b", "a#b", "a~b",
		"a+b", "a\n", strings.Repeat("a", 129),
	} {
		if CheckID(id) == nil {
			t.Errorf("%q is taken for an id", id)
		}
	}
}

func FuzzKey(f *testing.F) {
	_, key := KeyFormat{}.New()
	for _, text := range []string{"", "stile_", key.Reveal(), "acme_" + key.Reveal(), strings.Repeat("stile_", 9), "stile_é"} {
		f.Add("stile", text)
	}
	f.Fuzz(func(t *testing.T, prefix, text string) {
		format := KeyFormat{Prefix: prefix}
		id, err := format.Parse(text)
		if err != nil {
			if id != "" {
				t.Errorf("refused, and yet id %q", id)
			}
			return
		}
		if len(id) != keyIDLength || CheckID(id) != nil || !strings.HasPrefix(text, format.prefix()+"_"+id) {
			t.Errorf("id %q of %q", id, text)
		}
		if _, err := format.Parse(text + "0"); err == nil {
			t.Error("a longer one passes too")
		}
	})
}
