package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Check holds a document of our own callers, which somebody else decodes into a type,
// against what that decoder would lose without a word: bytes that are not UTF-8 and halves
// of surrogate pairs, which become U+FFFD, and names that stand twice, of which it takes the
// last. In the outermost object, whose names are ours, case is no difference either, since
// encoding/json takes ID for id. Errors can hold names of the document.
//
// Each (nil for none) is called for every string that is a value, with the name in the
// outermost object that it stands under; its error ends the check.
func Check(document []byte, each func(field, text string) error) error {
	var whole json.RawMessage
	if err := json.Unmarshal(document, &whole); err != nil {
		return err
	}
	switch {
	case !utf8.Valid(document):
		return errors.New("it is not UTF-8")
	case hasLoneSurrogate(document):
		return errSurrogate
	}
	c := checker{in: json.NewDecoder(bytes.NewReader(document)), each: each}
	return c.value(0)
}

// checker reads a document that is valid JSON token by token.
type checker struct {
	in    *json.Decoder
	each  func(field, text string) error
	field string // in the outermost object
}

// value reads what stands next, inside of depth objects and arrays. That json.Unmarshal has
// read the document bounds the depth.
func (c *checker) value(depth int) error {
	token, err := c.in.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case string:
		if c.each != nil {
			return c.each(c.field, token)
		}
	case json.Delim:
		if token == '{' {
			err = c.object(depth)
		} else {
			err = c.array(depth)
		}
		if err == nil {
			_, err = c.in.Token() // the end of it
		}
		return err
	}
	return nil
}

func (c *checker) object(depth int) error {
	names := map[string]bool{}
	for c.in.More() {
		token, err := c.in.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		known := name
		if depth == 0 {
			c.field, known = name, foldCase(name)
		}
		if names[known] {
			return fmt.Errorf("it says %.60q twice", name)
		}
		names[known] = true
		if err := c.value(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) array(depth int) error {
	for c.in.More() {
		if err := c.value(depth + 1); err != nil {
			return err
		}
	}
	return nil
}
