package strictjson

// hasLoneSurrogate tells whether valid JSON escapes half of a surrogate pair (RFC 8259
// §8.2). encoding/json reads every such half as U+FFFD, so that different names and
// subjects would become the same.
func hasLoneSurrogate(data []byte) bool {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++ // the escaped byte; an escape of valid JSON is always whole
		if data[i] != 'u' {
			continue
		}
		switch surrogate(data[i-1:]) {
		case lowHalf:
			return true
		case highHalf:
			if surrogate(data[i+5:]) != lowHalf {
				return true
			}
			i += 6
		}
		i += 4
	}
	return false
}

const (
	noSurrogate = iota
	highHalf    // \uD800 to \uDBFF
	lowHalf     // \uDC00 to \uDFFF
)

// surrogate classes the escape that data begins with, if it begins with one.
func surrogate(data []byte) int {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' || data[2] != 'd' && data[2] != 'D' {
		return noSurrogate
	}
	switch c := data[3]; {
	case c == '8' || c == '9' || c == 'a' || c == 'A' || c == 'b' || c == 'B':
		return highHalf
	case c >= 'c' && c <= 'f' || c >= 'C' && c <= 'F':
		return lowHalf
	}
	return noSurrogate
}
