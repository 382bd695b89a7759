package store

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Kinds of revocations, by the claim that names what is revoked.
const (
	revokedJTI     = "jti" // one token
	revokedSubject = "sub" // the tokens of a subject that were issued until some moment
	revokedSession = "sid" // the tokens of a session
)

// MaxTokenClaim bounds what a revocation names, in bytes. It is only hashed, so this only
// keeps out what no issuer writes.
const MaxTokenClaim = 1024

// Revocation ends tokens of one issuer before they expire. Exactly one of JTI, Subject and
// Session is set.
type Revocation struct {
	Issuer  string
	JTI     string
	Subject string
	Session string
	// IssuedBefore goes with Subject: tokens issued at that time or before it end. What is
	// there for a subject already only moves forward. To the millisecond.
	IssuedBefore time.Time
	// Until is when it can be forgotten: no such token is good any more. A later one stands.
	Until time.Time
}

// Validate answers an *InvalidError that lists all that is wrong, or nil.
func (r Revocation) Validate() error {
	var p problems
	p.claim("issuer", r.Issuer)
	if r.Issuer == "" {
		p.add("issuer", errors.New("empty"))
	}
	set := 0
	for field, text := range map[string]string{"jti": r.JTI, "subject": r.Subject, "session": r.Session} {
		p.claim(field, text)
		if text != "" {
			set++
		}
	}
	if set != 1 {
		p = append(p, "exactly one of jti, subject and session must be set")
	}
	if (r.Subject != "") == r.IssuedBefore.IsZero() {
		p = append(p, "issued_before goes with subject, and only with it")
	}
	if r.Until.IsZero() {
		p.add("until", errors.New("missing"))
	}
	p.add("issued_before", checkTime(r.IssuedBefore))
	p.add("until", checkTime(r.Until))
	return p.err()
}

// claim is any text of a token: what stands there is the issuer's to say.
func (p *problems) claim(field, text string) {
	if len(text) > MaxTokenClaim {
		p.add(field, fmt.Errorf("longer than %d bytes", MaxTokenClaim))
	}
	if !utf8.ValidString(text) {
		p.add(field, errors.New("not valid UTF-8"))
	}
}

// ID is how a revocation is announced: "<kind>:<hash>", and ":<unix ms>" behind that of a
// subject. It names nobody, and whoever follows can refuse at once without asking.
func (r Revocation) ID() string { return r.mark().String() }

// Name is what is revoked, "<kind>:<hash>", which names nobody either.
func (r Revocation) Name() string { return r.mark().name.String() }

func (r Revocation) mark() mark {
	switch {
	case r.JTI != "":
		return mark{name: revokedName(revokedJTI, r.Issuer, r.JTI), before: always}
	case r.Session != "":
		return mark{name: revokedName(revokedSession, r.Issuer, r.Session), before: always}
	}
	return mark{name: revokedName(revokedSubject, r.Issuer, r.Subject), before: r.IssuedBefore.UnixMilli()}
}

// left is for how long it must be kept.
func (r Revocation) left(now time.Time) (time.Duration, error) {
	left := r.Until.Sub(now)
	if left < time.Millisecond {
		return 0, &InvalidError{[]string{"until: is not in the future"}}
	}
	return left, nil
}

// mark is what is kept of a revocation: which tokens it names, and the unix time in
// milliseconds up to which they had to be issued; always, whenever that was.
type mark struct {
	name   revoked
	before int64
}

const always = math.MaxInt64

// revoked names what is revoked.
type revoked struct {
	kind string
	hash digest // of issuer and claim
}

func revokedName(kind, issuer, claim string) revoked {
	return revoked{kind, framedDigest(issuer, claim)}
}

// String is the name's place in the store, below stile:revoked:.
func (n revoked) String() string { return n.kind + ":" + hex.EncodeToString(n.hash[:]) }

func (m mark) String() string {
	if m.before == always {
		return m.name.String()
	}
	return m.name.String() + ":" + strconv.FormatInt(m.before, 10)
}

// parseMark reads what Revocation.ID wrote.
func parseMark(id string) (m mark, err error) {
	bad := fmt.Errorf("id of a revocation: %w", ErrCorrupt)
	parts := strings.Split(id, ":")
	want := 2
	if parts[0] == revokedSubject {
		want = 3
	}
	if len(parts) != want || len(parts[1]) != 2*len(m.name.hash) {
		return m, bad
	}
	switch parts[0] {
	case revokedJTI, revokedSession:
		m.before = always
	case revokedSubject:
		if m.before, err = strconv.ParseInt(parts[2], 10, 64); err != nil {
			return m, bad
		}
	default:
		return m, bad
	}
	m.name.kind = parts[0]
	if _, err := hex.Decode(m.name.hash[:], []byte(parts[1])); err != nil {
		return m, bad
	}
	return m, nil
}
