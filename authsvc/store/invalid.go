package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stile-gate/stile/policy"
)

// The bounds of what is stored. They keep the headers that an upstream gets short.
const (
	maxText    = 256 // bytes of a username, a custom id, a key's name
	maxElement = 128 // bytes of a group or scope
	maxList    = 100 // groups or scopes
)

// InvalidError lists all that is wrong with a value that was to be stored.
type InvalidError struct{ Problems []string }

func (e *InvalidError) Error() string { return strings.Join(e.Problems, "; ") }

// problems gathers what InvalidError lists.
type problems []string

func (p *problems) add(field string, err error) {
	if err != nil {
		*p = append(*p, field+": "+err.Error())
	}
}

func (p *problems) id(field, text string) { p.add(field, policy.CheckID(text)) }

// text is free text of one line, "" among it.
func (p *problems) text(field, text string) {
	if len(text) > maxText {
		p.add(field, fmt.Errorf("longer than %d bytes", maxText))
	}
	p.add(field, checkLine(text))
}

func (p *problems) list(field string, elements []string, check func(string) error) {
	if len(elements) > maxList {
		p.add(field, fmt.Errorf("more than %d", maxList))
		return
	}
	for i, e := range elements {
		name := fmt.Sprintf("%s[%d]", field, i)
		first := slices.Index(elements, e)
		switch {
		case first < i:
			p.repeated(field, first, i)
		case e == "":
			p.add(name, errors.New("empty"))
		case len(e) > maxElement:
			p.add(name, fmt.Errorf("longer than %d bytes", maxElement))
		default:
			p.add(name, check(e))
		}
	}
}

// repeated refuses an element that says nothing new: another was meant, perhaps.
func (p *problems) repeated(field string, first, again int) {
	p.add(fmt.Sprintf("%s[%d]", field, again), fmt.Errorf("the same as %s[%d]; leave it out", field, first))
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return &InvalidError{p}
}

func checkLine(text string) error {
	switch {
	case !utf8.ValidString(text):
		return errors.New("not valid UTF-8")
	case strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("has a control character")
	}
	return nil
}

// checkGroup refuses commas because upstreams get groups as a comma-separated list.
func checkGroup(text string) error {
	if strings.Contains(text, ",") {
		return errors.New("has a comma")
	}
	return checkLine(text)
}

// checkScope wants a scope-token of RFC 6749 §3.3.
func checkScope(text string) error {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return errors.New(`a scope is printable ASCII without spaces, " and \`)
		}
	}
	return nil
}
