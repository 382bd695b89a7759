package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxReadings bounds what a stranger's path can cost. Real paths have a handful.
const maxReadings = 32

// readings returns the other paths that an upstream could take this one for. Programs
// decode escapes (once, or until nothing is left), drop ;parameters, and read on only to a
// decoded ? or #, in any order and number; so what one of them makes of a reading is a
// reading too. A dot segment, an empty one, a control byte, a backslash or bytes that are
// not UTF-8 in any of them is an error, and so is a member of Encoded that the path itself
// does not show.
func (t target) readings() ([]string, error) {
	if !t.escaped {
		return nil, nil
	}
	all := []string{t.path}
	for i := 0; i < len(all); i++ {
		decoded, err := decodeLayer(all[i], t.encoded)
		if err != nil {
			return nil, err
		}
		for _, next := range []string{
			decoded, dropParameters(all[i]), cutAt(all[i], "?"), cutAt(all[i], "#"),
		} {
			if slices.Contains(all, next) {
				continue
			}
			if err := checkReading(next); err != nil {
				return nil, err
			}
			if all = append(all, next); len(all) > maxReadings {
				return nil, errors.New("path can be read in too many ways")
			}
		}
	}
	return all[1:], nil
}

func checkReading(path string) error {
	if err := checkSegments(path); err != nil {
		return fmt.Errorf("once decoded: %w", err)
	}
	if !utf8.ValidString(unescapeHigh(path)) {
		return errors.New("once decoded: path has escapes that are not UTF-8")
	}
	return nil
}

// decodeLayer decodes one layer of escapes: of the ASCII characters that stand for
// themselves in a path, and of those in Encoded, which must be among shown. Others it
// keeps, and a % that begins no escape is data to whoever decodes once more.
func decodeLayer(path string, shown Encoded) (string, error) {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c, ok := escapeAt(path, i)
		if !ok {
			b.WriteByte(path[i])
			continue
		}
		flag, err := judgeEscaped(c)
		if err == nil && flag&^shown != 0 {
			err = fmt.Errorf("path has an escaped %s", flag)
		}
		if err != nil {
			return "", fmt.Errorf("once decoded: %w", err)
		}
		if flag != 0 || class[c]&literal != 0 {
			b.WriteByte(c)
		} else {
			writeEscape(&b, c)
		}
		i += 2
	}
	return b.String(), nil
}

// decodePlain decodes escapes of characters that stand for themselves in a path, %40 and
// the like, and no others.
func decodePlain(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if c, ok := escapeAt(path, i); ok && c != '/' && class[c]&literal != 0 {
			b.WriteByte(c)
			i += 2
			continue
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

// dropParameters removes ;x from each segment, as a servlet container does.
func dropParameters(path string) string {
	if !strings.Contains(path, ";") {
		return path
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		segments[i] = cutAt(segment, ";")
	}
	return strings.Join(segments, "/")
}

func cutAt(s, separator string) string {
	before, _, _ := strings.Cut(s, separator)
	return before
}
