package store

import (
	"math"
	"strconv"
	"time"
)

// TokenRef is a token by all that a revocation can name it by. Claims that it does not
// have are "".
type TokenRef struct {
	Issuer   string
	JTI      string
	Subject  string
	Session  string
	IssuedAt time.Time // zero for a token that does not say: it falls to every revocation of its subject

	hashed *hashedRef // nil unless Hashed made it
}

// hashedRef is what is asked for.
type hashedRef struct {
	names []revoked // of the claims that are there
	whole digest    // tells the token from others
}

// Hashed is the same ref with its hashes in it: for one that will be asked about again.
func (t TokenRef) Hashed() TokenRef {
	if t.hashed == nil {
		t.hashed = t.hash()
	}
	return t
}

func (t TokenRef) hash() *hashedRef {
	h := &hashedRef{whole: framedDigest(t.Issuer, t.JTI, t.Subject, t.Session, strconv.FormatInt(t.issuedAt(), 10))}
	for _, claim := range [...]struct{ kind, text string }{
		{revokedJTI, t.JTI}, {revokedSubject, t.Subject}, {revokedSession, t.Session},
	} {
		if claim.text != "" {
			h.names = append(h.names, revokedName(claim.kind, t.Issuer, claim.text))
		}
	}
	return h
}

// names are what may be revoked of a token.
func (t TokenRef) names() []revoked { return t.Hashed().hashed.names }

// issuedAt is in milliseconds. A token that does not say cannot show that it came after a
// revocation, so it came before all of them.
func (t TokenRef) issuedAt() int64 {
	if t.IssuedAt.IsZero() {
		return math.MinInt64
	}
	return t.IssuedAt.UnixMilli()
}

// falls tells whether a revocation up to before, in milliseconds, ends the token.
func (t TokenRef) falls(before int64) bool { return t.issuedAt() <= before }
