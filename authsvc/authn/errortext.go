package authn

import (
	"fmt"
	"strings"
)

// clip bounds text that a stranger chose before it goes, quoted, into an error.
func clip(text string) string {
	const limit = 64
	if len(text) > limit {
		return text[:limit] + "…"
	}
	return text
}

// clipped shortens and quotes the text of an error that may hold a stranger's.
type clipped struct{ error }

func (e clipped) Error() string {
	const limit = 256
	text := fmt.Sprintf("%q", e.error.Error())
	if len(text) > limit {
		return text[:limit] + "…"
	}
	return text
}

func (e clipped) Unwrap() error { return e.error }

// oneLine writes several errors in one line, for a list of a configuration's problems.
type oneLine struct{ error }

func (e oneLine) Error() string { return strings.ReplaceAll(e.error.Error(), "\n", "; ") }
func (e oneLine) Unwrap() error { return e.error }
