package policy

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxTarget bounds a request target in bytes; nginx's default line is as long.
const maxTarget = 8 << 10

// Encoded is a set of characters that programs disagree about when they are escaped
// in a path: one decodes them into structure, another keeps them as data. A path that
// holds one is refused unless its route says that its upstream takes them as data.
type Encoded uint8

// The members of Encoded, and their names in a configuration.
const (
	EncodedSlash     Encoded = 1 << iota // %2F
	EncodedPercent                       // %25
	EncodedSemicolon                     // ; and %3B
	EncodedQuestion                      // %3F
	EncodedHash                          // %23
)

var errDotSegment = errors.New("path has a . or .. segment")

// encodedNames is the one place where the members are spelled.
func encodedNames() map[string]Encoded {
	return map[string]Encoded{
		"slash": EncodedSlash, "percent": EncodedPercent, "semicolon": EncodedSemicolon,
		"question": EncodedQuestion, "hash": EncodedHash,
	}
}

// ParseEncoded reads one name of an `encoded:` option.
func ParseEncoded(name string) (Encoded, error) {
	if e, ok := encodedNames()[name]; ok {
		return e, nil
	}
	return 0, fmt.Errorf("encoded: %q is none of slash, percent, semicolon, question, hash", name)
}

func (e Encoded) String() string {
	var names []string
	for _, name := range []string{"slash", "percent", "semicolon", "question", "hash"} {
		if e&encodedNames()[name] != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// target is a request target in its one canonical form.
type target struct {
	path    string  // escapes of unreserved characters decoded, the others upper-cased
	query   string  // as it came, without the ?
	encoded Encoded // what the path holds that only some routes accept
	escaped bool    // the path still holds escapes or a semicolon: it has other readings
}

// parseTarget brings an origin-form request target (RFC 9112 §3.2.1) into the one form
// that is judged and passed on, or refuses it. It changes nothing but escapes that RFC
// 3986 §6.2.2 calls equal; whatever two programs could read differently is an error.
func parseTarget(raw string) (target, error) {
	if len(raw) > maxTarget {
		return target{}, fmt.Errorf("request target is longer than %d bytes", maxTarget)
	}
	if raw == "" || raw[0] != '/' {
		return target{}, errors.New("request target does not begin with /")
	}
	path, query, _ := strings.Cut(raw, "?")
	if err := checkQuery(query); err != nil {
		return target{}, err
	}
	t := target{query: query}
	if plain(path) {
		t.path = path
	} else if err := t.decode(path); err != nil {
		return target{}, err
	}
	return t, checkSegments(t.path)
}

// plain tells whether a path is canonical as it stands, byte by byte.
func plain(path string) bool {
	for i := range len(path) {
		if class[path[i]]&literal == 0 {
			return false
		}
	}
	return true
}

// decode fills in the canonical path of one that holds escapes or odd bytes.
func (t *target) decode(path string) error {
	var b strings.Builder
	b.Grow(len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case class[c]&literal != 0:
			b.WriteByte(c)
		case c == ';':
			t.encoded |= EncodedSemicolon
			b.WriteByte(c)
		case c == '%':
			escaped, ok := escapeAt(path, i)
			if !ok {
				return errors.New("path has a broken % escape")
			}
			if err := t.escape(&b, escaped); err != nil {
				return err
			}
			i += 2
		default:
			return fmt.Errorf("path has byte 0x%02X, which must be escaped or left out", c)
		}
	}
	t.path = b.String()
	t.escaped = t.encoded != 0 || strings.Contains(t.path, "%")
	if t.escaped && !utf8.ValidString(unescapeHigh(t.path)) {
		return errors.New("path has escapes that are not UTF-8")
	}
	return nil
}

// escape writes the canonical form of one escaped byte.
func (t *target) escape(b *strings.Builder, c byte) error {
	flag, err := judgeEscaped(c)
	if err != nil {
		return err
	}
	t.encoded |= flag
	if class[c]&unreserved != 0 {
		b.WriteByte(c)
	} else {
		writeEscape(b, c)
	}
	return nil
}

// judgeEscaped says what an escaped byte is: refused, a member of Encoded, or data (0).
func judgeEscaped(c byte) (Encoded, error) {
	switch {
	case c < 0x20 || c == 0x7F:
		return 0, fmt.Errorf("path has an escaped control byte, %%%02X", c)
	case c == '\\':
		return 0, errors.New("path has an escaped backslash")
	}
	switch c {
	case '/':
		return EncodedSlash, nil
	case '%':
		return EncodedPercent, nil
	case ';':
		return EncodedSemicolon, nil
	case '?':
		return EncodedQuestion, nil
	case '#':
		return EncodedHash, nil
	}
	return 0, nil
}

// checkSegments refuses . and .. segments and empty ones, except behind a last slash.
func checkSegments(path string) error {
	for rest, more := path[1:], true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		switch segment {
		case "":
			if more {
				return errors.New("path has an empty segment")
			}
		case ".", "..":
			return errDotSegment
		}
	}
	return nil
}

// checkQuery refuses the bytes that end a request line or begin a fragment. Otherwise
// the query takes no part in the decision and goes on as it came.
func checkQuery(query string) error {
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c == 0x7F || c == '#' {
			return fmt.Errorf("query has byte 0x%02X", c)
		}
	}
	return nil
}
