// Package strictjson reads JSON (RFC 8259) that no two programs can read differently.
package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxDepth bounds how deep objects and arrays of an Object may nest.
const maxDepth = 16

var (
	errNotObject = errors.New("not a JSON object in UTF-8")
	errSurrogate = errors.New("JSON has half of a surrogate pair")
)

// Object reads one JSON object of strangers, such as a token's claims. RFC 7519 §4 lets a
// reader of claims take the last of two equal names; others take the first, and
// encoding/json takes ISS for iss. So these are errors: bytes that are not UTF-8, half of a
// surrogate pair, two names in one object that are equal or differ in case only, depth
// above maxDepth, anything behind the object. Numbers stay as they were written
// (json.Number). Errors hold nothing of the input.
func Object(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) || !json.Valid(data) {
		return nil, errNotObject
	}
	if hasLoneSurrogate(data) {
		return nil, errSurrogate
	}
	r := jsonReader{text: string(data)}
	value, err := r.value(0)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errNotObject
	}
	return object, nil
}

// jsonReader reads JSON whose grammar encoding/json has checked: all that is left is to
// see where a value ends. It stands in for json.Decoder.Token, which takes ten times as
// long, and strangers choose what is read here.
type jsonReader struct {
	text string
	at   int
}

// next skips spaces and the punctuation between values, and returns the byte behind.
func (r *jsonReader) next() byte {
	for strings.IndexByte(" \t\r\n,:", r.text[r.at]) >= 0 {
		r.at++
	}
	return r.text[r.at]
}

// value reads what stands next, inside of depth objects and arrays.
func (r *jsonReader) value(depth int) (any, error) {
	switch c := r.next(); c {
	case '{', '[':
		if depth == maxDepth {
			return nil, fmt.Errorf("JSON nests deeper than %d", maxDepth)
		}
		r.at++
		if c == '{' {
			return r.object(depth + 1)
		}
		return r.array(depth + 1)
	case '"':
		return r.quoted()
	}
	word := r.text[r.at:]
	if end := strings.IndexAny(word, " \t\r\n,]}"); end >= 0 {
		word = word[:end]
	}
	r.at += len(word)
	switch word {
	case "true", "false":
		return word == "true", nil
	case "null":
		return nil, nil
	}
	return json.Number(word), nil
}

func (r *jsonReader) object(depth int) (any, error) {
	object := map[string]any{}
	folded := map[string]bool{}
	for r.next() != '}' {
		name, err := r.quoted()
		if err != nil {
			return nil, err
		}
		key := foldCase(name)
		if folded[key] {
			return nil, errors.New("JSON object has a name twice, or two that differ in case only")
		}
		folded[key] = true
		if object[name], err = r.value(depth); err != nil {
			return nil, err
		}
	}
	r.at++
	return object, nil
}

func (r *jsonReader) array(depth int) (any, error) {
	array := []any{}
	for r.next() != ']' {
		value, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	r.at++
	return array, nil
}

// quoted reads the string that begins here.
func (r *jsonReader) quoted() (text string, err error) {
	begin, escaped := r.at, false
	for r.at++; r.text[r.at] != '"'; r.at++ {
		if r.text[r.at] == '\\' {
			escaped = true
			r.at++
		}
	}
	r.at++
	if literal := r.text[begin:r.at]; escaped {
		err = json.Unmarshal([]byte(literal), &text)
	} else {
		text = literal[1 : len(literal)-1]
	}
	return text, err
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
