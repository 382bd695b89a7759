package policy

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret holds what must never be printed: every way that Go has of turning a value
// into text says [redacted]. Reveal is the one way out and is easy to search for.
// Compare what Reveal returns: == compares addresses.
type Secret struct {
	// A pointer, because fmt and slog print fields that are not exported without asking
	// their methods, and then print an address.
	text *string
}

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal returns the secret itself.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero tells whether there is no secret.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// Format covers every verb, %#v and %x among them.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
