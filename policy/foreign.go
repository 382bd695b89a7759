package policy

import (
	"errors"
	"fmt"
)

// Bounds of a key that another system made, in bytes.
const (
	minForeign = 8
	maxForeign = 512
)

// OfForm tells whether text looks like one of these keys, be its checksum right or not.
func (f KeyFormat) OfForm(text string) bool {
	_, err := f.Parse(text)
	return err == nil || !errors.Is(err, errKeyForm)
}

// CheckForeign tells whether text can be an imported key: 8 to 512 visible ASCII
// characters, and not of our own form. The error holds nothing of the key.
func (f KeyFormat) CheckForeign(text string) error {
	if f.OfForm(text) {
		return errors.New("it is of the form of our own keys")
	}
	ok := len(text) >= minForeign && len(text) <= maxForeign
	for i := 0; ok && i < len(text); i++ {
		ok = text[i] > ' ' && text[i] <= '~'
	}
	if !ok {
		return fmt.Errorf("a key of another system has %d to %d visible ASCII characters", minForeign, maxForeign)
	}
	return nil
}
