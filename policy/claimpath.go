package policy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrOtherType: a claim is there, but not of a type that it can have.
var ErrOtherType = errors.New("is of another type")

// ClaimPath says where in a token a claim stands. Three forms: a top-level name, a dotted
// path (realm_access.roles), or a JSON pointer (RFC 6901) when it begins with "/", for
// names that hold a dot or a slash themselves (/https:~1~1example.com~1roles).
type ClaimPath struct {
	text     string
	elements []string
}

// String is the path as it was written.
func (p ClaimPath) String() string { return p.text }

// Top is the claim of the token that it begins at.
func (p ClaimPath) Top() string { return p.elements[0] }

// IsZero tells the path that was not parsed.
func (p ClaimPath) IsZero() bool { return p.elements == nil }

// ParseClaimPath reads one of the three forms.
func ParseClaimPath(text string) (ClaimPath, error) {
	fail := func(why string) (ClaimPath, error) {
		return ClaimPath{}, fmt.Errorf("claim path %q %s", clip(text), why)
	}
	pointer, isPointer := strings.CutPrefix(text, "/")
	if !isPointer {
		if strings.ContainsAny(text, "/:") {
			return fail("holds / or :, so write it as a JSON pointer: /" + escapePointer(text))
		}
		elements := strings.Split(text, ".")
		for _, e := range elements {
			if e == "" {
				return fail("has an empty element")
			}
		}
		return ClaimPath{text, elements}, nil
	}
	elements := strings.Split(pointer, "/")
	for i, e := range elements {
		plain := strings.NewReplacer("~1", "/", "~0", "~").Replace(e)
		if escapePointer(plain) != e {
			return fail("has a ~ that is neither ~0 nor ~1 (RFC 6901 §3)")
		}
		elements[i] = plain
	}
	return ClaimPath{text, elements}, nil
}

func escapePointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// Find returns what stands at the path. What is not there is nil, false; a step into
// something that has no parts is ErrOtherType. A step into an array is an index, in
// pointers only, since a dotted path that meets an array was written for another token.
func (p ClaimPath) Find(claims map[string]any) (value any, found bool, err error) {
	value = claims
	for _, element := range p.elements {
		switch parent := value.(type) {
		case map[string]any:
			value, found = parent[element]
		case []any:
			if !strings.HasPrefix(p.text, "/") {
				return nil, false, ErrOtherType
			}
			value, found = elementOf(parent, element)
		default:
			return nil, false, ErrOtherType
		}
		if !found {
			return nil, false, nil
		}
	}
	return value, true, nil
}

// elementOf reads an array index of RFC 6901 §4: digits without a leading zero.
func elementOf(array []any, index string) (any, bool) {
	n, err := strconv.Atoi(index)
	if err != nil || n < 0 || n >= len(array) || strconv.Itoa(n) != index {
		return nil, false
	}
	return array[n], true
}
