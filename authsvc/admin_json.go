package authsvc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// checkNames refuses an object that says a name twice: encoding/json takes the last of
// them, other programs the first. In the outermost, whose names are ours, case is no
// difference either, since encoding/json takes ID for id. It refuses zero times, too.
func checkNames(body []byte) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	var open []jsonScope
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if at, ok := token.(string); ok && isZeroTime(at) {
			return fmt.Errorf("%q is what programs write for no time at all; leave it out, or say when", at)
		}
		delim, _ := token.(json.Delim)
		if delim == '}' || delim == ']' {
			open = open[:len(open)-1]
			continue
		}
		if len(open) > 0 {
			if err := open[len(open)-1].take(token, len(open) == 1); err != nil {
				return err
			}
		}
		switch delim {
		case '{':
			open = append(open, jsonScope{names: map[string]bool{}, name: true})
		case '[':
			open = append(open, jsonScope{})
		}
	}
}

// isZeroTime tells the time that Go cannot tell from none: an end that was meant to be long
// ago would become no end.
func isZeroTime(text string) bool {
	at, err := time.Parse(time.RFC3339, text)
	return err == nil && at.IsZero()
}

// jsonScope is an object or an array that has begun.
type jsonScope struct {
	names map[string]bool // nil in an array
	name  bool            // what comes next is a name
}

func (s *jsonScope) take(token json.Token, fold bool) error {
	if s.names == nil {
		return nil
	}
	if !s.name {
		s.name = true
		return nil
	}
	name, _ := token.(string)
	s.name = false
	known := name
	if fold {
		known = strings.ToLower(name)
	}
	if s.names[known] {
		return fmt.Errorf("it says %.60q twice", name)
	}
	s.names[known] = true
	return nil
}
