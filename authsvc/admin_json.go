package authsvc

import (
	"fmt"
	"time"

	"github.com/stile-gate/stile/authsvc/strictjson"
)

// keyTaker is an input that takes a key in some of its fields. In all others none is taken:
// what stands there becomes part of lists, of the decision log and of headers.
type keyTaker interface{ mayHoldKey(field string) bool }

// checkBody refuses what decoding would lose or make something else of, zero times among
// it, and keys where none belong. A new field is held to that by itself.
func (a *Admin) checkBody(body []byte, in any) error {
	taker, _ := in.(keyTaker)
	return strictjson.Check(body, func(field, text string) error {
		if isZeroTime(text) {
			return fmt.Errorf("%q is what programs write for no time at all; leave it out, or say when", text)
		}
		if taker != nil && taker.mayHoldKey(field) {
			return nil
		}
		if err := a.Format.CheckPlain(text); err != nil {
			return fmt.Errorf("%.60s: %w", field, err)
		}
		return nil
	})
}

// isZeroTime tells the time that Go cannot tell from none: an end that was meant to be long
// ago would become no end.
func isZeroTime(text string) bool {
	at, err := time.Parse(time.RFC3339, text)
	return err == nil && at.IsZero()
}
