package policy

import "strings"

// Classes of bytes in a URI (RFC 3986 §2).
const (
	unreserved = 1 << iota // letters, digits, - . _ ~
	literal                // stands for itself in a path: pchar without ; and %, and /
	hexDigit
	alphanumeric
	plainName // letters, digits and -: a field name without aliases
	token     // RFC 9110 §5.6.2, a field name or method
)

// class is a table because every byte of every request passes through it.
var class = func() (t [256]uint8) {
	mark := func(bits uint8, bytes string) {
		for i := range len(bytes) {
			t[bytes[i]] |= bits
		}
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	const digits = "0123456789"
	mark(unreserved|literal, letters+digits+"-._~")
	mark(alphanumeric|plainName, letters+digits)
	mark(plainName, "-")
	mark(literal, "!$&'()*+,=:@/")
	mark(hexDigit, digits+"abcdefABCDEF")
	mark(token, letters+digits+"!#$%&'*+-.^_`|~")
	return t
}()

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	default:
		return c - '0'
	}
}

func writeEscape(b *strings.Builder, c byte) {
	const digits = "0123456789ABCDEF"
	b.WriteByte('%')
	b.WriteByte(digits[c>>4])
	b.WriteByte(digits[c&15])
}

// escapeAt is the byte that is escaped at an index, if an escape begins there.
func escapeAt(s string, i int) (byte, bool) {
	if s[i] != '%' || i+2 >= len(s) || class[s[i+1]]&hexDigit == 0 || class[s[i+2]]&hexDigit == 0 {
		return 0, false
	}
	return unhex(s[i+1])<<4 | unhex(s[i+2]), true
}

// unescapeHigh decodes only escapes above 0x7F, to judge them as UTF-8.
func unescapeHigh(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c, ok := escapeAt(s, i); ok && c >= 0x80 {
			b.WriteByte(c)
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// isToken tells whether s is a token of RFC 9110 §5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if class[s[i]]&token == 0 {
			return false
		}
	}
	return s != ""
}
