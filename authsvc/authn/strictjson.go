package authn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxDepth bounds how deep objects and arrays of a token may nest.
const maxDepth = 16

var (
	errNotObject = errors.New("not a JSON object in UTF-8")
	errDepth     = fmt.Errorf("JSON nests deeper than %d", maxDepth)
)

// decodeObject reads one JSON object (RFC 8259) that no two programs can read
// differently. RFC 7519 §4 lets a reader of claims take the last of two equal names;
// others take the first, and encoding/json takes ISS for iss. So these are errors: bytes
// that are not UTF-8, half of a surrogate pair, two names in one object that are equal
// or differ in case only, depth above maxDepth, anything behind the object. Numbers
// stay as they were written (json.Number). Errors hold nothing of the input.
func decodeObject(data []byte) (map[string]any, error) {
	// Token is laxer than the grammar in places, so the grammar is checked first.
	if !utf8.Valid(data) || !json.Valid(data) {
		return nil, errNotObject
	}
	if hasLoneSurrogate(data) {
		return nil, errors.New("JSON has half of a surrogate pair")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	value, err := readValue(d, 0)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errNotObject
	}
	return object, nil
}

func readValue(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, errNotObject
	}
	if depth == maxDepth && (token == json.Delim('{') || token == json.Delim('[')) {
		return nil, errDepth
	}
	switch token {
	case json.Delim('{'):
		return readObject(d, depth+1)
	case json.Delim('['):
		return readArray(d, depth+1)
	}
	return token, nil // string, json.Number, bool or nil
}

func readObject(d *json.Decoder, depth int) (any, error) {
	object := map[string]any{}
	folded := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, errNotObject
		}
		if f := foldCase(name); folded[f] {
			return nil, errors.New("JSON object has a name twice, or two that differ in case only")
		} else {
			folded[f] = true
		}
		if object[name], err = readValue(d, depth); err != nil {
			return nil, err
		}
	}
	_, err := d.Token() // the closing brace
	return object, err
}

func readArray(d *json.Decoder, depth int) (any, error) {
	array := []any{}
	for d.More() {
		value, err := readValue(d, depth)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	_, err := d.Token() // the closing bracket
	return array, err
}

// foldCase maps names that strings.EqualFold calls equal to one text: of all characters
// that fold together, it takes the least. A map of these finds in linear time what
// comparing every pair would take too long for.
func foldCase(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, name)
}

// checkVariants refuses an object with a name that differs only in case from one that is
// read: another program could take it for that one.
func checkVariants(object map[string]any, read []string) error {
	for name := range object {
		for _, wanted := range read {
			if name != wanted && strings.EqualFold(name, wanted) {
				return fmt.Errorf("a name differs from %q in case only", wanted)
			}
		}
	}
	return nil
}

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
