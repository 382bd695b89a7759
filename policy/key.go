package policy

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"strconv"
	"strings"
)

// An API key is <prefix>_<id:10><secret:32><checksum:6>, the last three in base62. The
// id is its public handle; the checksum, CRC-32 (IEEE) of all before it, tells a mistyped
// key from an unknown one without asking the store.
const (
	keyIDLength     = 10
	keySecretLength = 32
	keyCheckLength  = 6
	keyBodyLength   = keyIDLength + keySecretLength + keyCheckLength
	base62          = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

var errKeyForm = errors.New("not of the form of a key")

// KeyFormat makes and reads API keys.
type KeyFormat struct {
	Prefix string // letters and digits; DefaultKeyPrefix when empty
}

// DefaultKeyPrefix begins every key unless the configuration says otherwise.
const DefaultKeyPrefix = "stile"

func (f KeyFormat) prefix() string {
	if f.Prefix == "" {
		return DefaultKeyPrefix
	}
	return f.Prefix
}

// New makes a key from 190 bits of crypto/rand.
func (f KeyFormat) New() (id string, key Secret) {
	body := randomBase62(keyIDLength + keySecretLength)
	text := f.prefix() + "_" + body
	check := checksum(text)
	return body[:keyIDLength], NewSecret(text + string(check[:]))
}

// Parse checks form and checksum of a presented key and returns its id. The error holds
// nothing of the key.
func (f KeyFormat) Parse(text string) (id string, err error) {
	prefix := f.prefix()
	if len(text) != len(prefix)+1+keyBodyLength || text[:len(prefix)] != prefix || text[len(prefix)] != '_' {
		return "", errKeyForm
	}
	body := text[len(prefix)+1:]
	for i := range len(body) {
		if class[body[i]]&alphanumeric == 0 {
			return "", errKeyForm
		}
	}
	if split := len(text) - keyCheckLength; checksum(text[:split]) != [keyCheckLength]byte([]byte(text[split:])) {
		return "", errors.New("wrong checksum: the key was mistyped or cut")
	}
	return body[:keyIDLength], nil
}

// Mask leaves the id of each key that stands in text, and takes its secret out: people put
// keys into paths and ids, and those are logged.
func (f KeyFormat) Mask(text string) string {
	begin := f.prefix() + "_"
	at := strings.Index(text, begin)
	if at < 0 {
		return text
	}
	end := at + len(begin)
	for end < len(text) && class[text[end]]&alphanumeric != 0 {
		end++
	}
	shown := min(end, at+len(begin)+keyIDLength)
	if end-shown < keySecretLength/2 { // too short to be a key, or to be of use
		return text[:end] + f.Mask(text[end:])
	}
	return text[:shown] + "…" + f.Mask(text[end:])
}

// MaskPath is Mask for a path as it came: a key in it is taken out, too, when some of its
// characters are escaped. Then the path is shown without its escapes.
func (f KeyFormat) MaskPath(path string) string {
	if plain := unescape(path); plain != path {
		if masked := f.Mask(plain); masked != plain {
			return masked
		}
	}
	return f.Mask(path)
}

// unescape decodes every escape, and those that come of it, as far as they go.
func unescape(text string) string {
	for strings.Contains(text, "%") {
		var b strings.Builder
		for i := 0; i < len(text); i++ {
			if c, ok := escapeAt(text, i); ok {
				b.WriteByte(c)
				i += 2
			} else {
				b.WriteByte(text[i])
			}
		}
		if b.Len() == len(text) {
			return text
		}
		text = b.String()
	}
	return text
}

func checksum(text string) (out [keyCheckLength]byte) {
	sum := ^uint32(0) // as crc32.ChecksumIEEE does it, which would need a copy on the heap
	for i := range len(text) {
		sum = crc32.IEEETable[byte(sum)^text[i]] ^ sum>>8
	}
	sum = ^sum
	for i := keyCheckLength - 1; i >= 0; i-- {
		out[i] = base62[sum%62]
		sum /= 62
	}
	return out
}

// randomBase62 returns n random base62 digits, each alike likely: bytes that would tip
// the scale are thrown away.
func randomBase62(n int) string {
	out := make([]byte, 0, n)
	var buf [64]byte
	for len(out) < n {
		_, _ = rand.Read(buf[:]) // never fails: crypto/rand ends the program instead
		for _, b := range buf {
			if b < 62*4 && len(out) < n {
				out = append(out, base62[b%62])
			}
		}
	}
	return string(out)
}

// Pepper is a secret that is hashed with each key, so that a copy of the store is no
// help in guessing. Its version stands in the hash.
type Pepper struct {
	Version int
	Secret  Secret
}

// HashKey is the hash under which a key is stored: "hmac-sha256:<version>:<hex>".
// Without a pepper it is PlainKeyHash.
func (p Pepper) HashKey(key Secret) string {
	if p.Secret.IsZero() {
		return PlainKeyHash(key)
	}
	mac := hmac.New(sha256.New, []byte(p.Secret.Reveal()))
	mac.Write([]byte(key.Reveal()))
	return "hmac-sha256:" + strconv.Itoa(p.Version) + ":" + hex.EncodeToString(mac.Sum(nil))
}

// PlainKeyHash is "sha256:<hex>".
func PlainKeyHash(key Secret) string {
	sum := sha256.Sum256([]byte(key.Reveal()))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// PepperVersion is that in a key's hash; 0 when it was made without a pepper.
func PepperVersion(hash string) int {
	text, _ := strings.CutPrefix(hash, "hmac-sha256:")
	text, _, _ = strings.Cut(text, ":")
	version, _ := strconv.Atoi(text) // none is 0
	return version
}

// CheckKeyHash tells whether text is of the form of a key's hash.
func CheckKeyHash(text string) error {
	kind, digest, _ := strings.Cut(text, ":")
	if kind == "hmac-sha256" {
		var version string
		version, digest, _ = strings.Cut(digest, ":")
		if n, err := strconv.Atoi(version); err != nil || n < 1 || strconv.Itoa(n) != version {
			return errors.New("the pepper's version must be a number from 1")
		}
	} else if kind != "sha256" {
		return errors.New("the form is sha256:<64 hex digits> or hmac-sha256:<version>:<64 hex digits>")
	}
	if len(digest) != 2*sha256.Size || strings.Trim(digest, "0123456789abcdef") != "" {
		return errors.New("a hash has 64 hexadecimal digits in lower case")
	}
	return nil
}

// CheckID tells whether text can name a consumer or a key: it becomes part of store keys,
// URLs and headers, so it is 1 to 128 letters, digits and . _ @ - that begin with a
// letter or digit.
func CheckID(text string) error {
	ok := text != "" && len(text) <= 128 && class[text[0]]&alphanumeric != 0
	for i := range len(text) {
		ok = ok && (class[text[i]]&alphanumeric != 0 || strings.IndexByte("._@-", text[i]) >= 0)
	}
	if !ok {
		return errors.New("an id is 1 to 128 letters, digits and . _ @ - and begins with a letter or digit")
	}
	return nil
}
