package authsvc

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
)

// TokenBooks is what the admin API needs of a store for tokens.
type TokenBooks interface {
	Revoke(context.Context, store.Revocation) error
}

// How long a revocation is kept: until the last token that it could mean has expired.
const (
	defaultRevocation = 24 * time.Hour
	maxRevocation     = 366 * 24 * time.Hour
)

// maxAhead is how far issued_before may lie ahead: an issuer's clock may be before ours,
// and more than that would refuse tokens that are yet to come.
const maxAhead = 5 * time.Minute

// tokenInput says which tokens are to be revoked: exactly one of JTI, Subject and Session.
type tokenInput struct {
	Issuer       string    `json:"issuer"`
	JTI          string    `json:"jti,omitempty"`
	Subject      string    `json:"subject,omitempty"`
	Session      string    `json:"session,omitempty"`
	IssuedBefore time.Time `json:"issued_before,omitzero"` // RFC 3339, with subject; now
	Until        time.Time `json:"until,omitzero"`         // RFC 3339; in a day
}

func (in tokenInput) revocation() store.Revocation {
	return store.Revocation{
		Issuer: in.Issuer, JTI: in.JTI, Subject: in.Subject, Session: in.Session,
		IssuedBefore: in.IssuedBefore, Until: in.Until,
	}
}

// mayHoldKey: what the claims of a token say is the issuer's to choose, and only hashed here.
func (tokenInput) mayHoldKey(field string) bool {
	return field == "jti" || field == "subject" || field == "session"
}

// revokeTokens answers when the store has it and the replicas were told. It may be repeated.
func (a *Admin) revokeTokens(ctx context.Context, _ *http.Request, in tokenInput) (none, error) {
	now := a.Now()
	if in.Until.IsZero() {
		in.Until = now.Add(defaultRevocation)
	}
	if in.Subject != "" && in.IssuedBefore.IsZero() {
		in.IssuedBefore = now
	}
	r := in.revocation()
	if err := r.Validate(); err != nil {
		return none{}, err
	}
	switch {
	case !slices.Contains(a.Issuers, in.Issuer):
		return none{}, unknownIssuer(in.Issuer, a.Issuers)
	case !in.Until.After(now) || in.Until.After(now.Add(maxRevocation)):
		return none{}, badCall("until is when the last of these tokens expires: in the future, and within a year")
	case in.IssuedBefore.After(now.Add(maxAhead)):
		return none{}, badCall("issued_before is more than %s ahead: it would refuse tokens that are yet to be issued", maxAhead)
	}
	if err := a.Revocations.Revoke(ctx, r); err != nil {
		return none{}, err
	}
	if a.Announce == nil {
		return none{}, nil
	}
	if err := a.Announce("token", r.ID()); err != nil {
		return none{}, fmt.Errorf("token is revoked, but it was not announced: %w", err)
	}
	return none{}, nil
}

func unknownIssuer(issuer string, known []string) error {
	if len(known) == 0 {
		return badCall("no authenticator takes tokens, so there are none to revoke")
	}
	return badCall("no authenticator takes tokens of the issuer %.200q; it must be, to the byte, %s",
		issuer, strings.Join(known, " or "))
}
