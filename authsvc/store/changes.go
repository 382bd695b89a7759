package store

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stile-gate/stile/policy"
)

// ChangeKind says what kind of thing became different.
type ChangeKind string

// The kinds of changes. Whoever hears of one that it does not know, from a newer version,
// takes it for EverythingChanged.
const (
	KeyChanged        ChangeKind = "key"      // made, altered or revoked
	ConsumerChanged   ChangeKind = "consumer" // and with it all its keys
	TokenChanged      ChangeKind = "token"
	EverythingChanged ChangeKind = "all" // it has no id
)

// Change says what became different, not how: whoever has a copy of it, or has noted that
// it is not there, forgets that and asks again.
type Change struct {
	Kind ChangeKind
	ID   string
}

// maxTokenID bounds what names a token or those who hold it, which comes from an issuer.
const maxTokenID = 512

// check refuses what is no change, or would be too large to announce.
func (c Change) check() error {
	switch c.Kind {
	case KeyChanged, ConsumerChanged:
		if err := policy.CheckID(c.ID); err != nil {
			return fmt.Errorf("change of a %s: %w", c.Kind, err)
		}
	case TokenChanged:
		printable := strings.IndexFunc(c.ID, func(r rune) bool { return r < ' ' || r == 0x7F }) < 0
		if c.ID == "" || len(c.ID) > maxTokenID || !printable {
			return fmt.Errorf("change of a token: its id is not 1 to %d bytes without control characters", maxTokenID)
		}
	case EverythingChanged:
		if c.ID != "" {
			return errors.New("a change of everything has no id")
		}
	default:
		return fmt.Errorf("%q is no kind of change", c.Kind)
	}
	return nil
}

// Replica is a process that follows the changes.
type Replica struct {
	ID      string // drawn at its start
	Host    string
	Applied int64         // the last change that it has applied
	Seen    time.Duration // how long ago it was last heard of, by the server's clock
}
