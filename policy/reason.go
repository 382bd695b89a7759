package policy

import (
	"errors"
	"fmt"
	"net/http"
)

// Reason says why a request was let in or refused. The table is closed: the same
// words stand in metrics, logs, documentation and the `type` of a problem document.
type Reason uint8

// The zero Reason denies, so a Decision that nobody filled in lets nobody through.
const (
	Unavailable   Reason = iota // we cannot know: store or issuer out of reach
	OK                          // let in
	NoRoute                     // no route matches
	BadRequest                  // ambiguous or malformed
	NoCredential                // the route wants a credential and none was presented
	BadCredential               // presented, and not good
	Expired                     // was good once
	Forbidden                   // known, but not allowed here (group, route, address, consumer status)
	MissingScope                // known, but without a scope that the route demands
	RateLimited                 // too fast, or too many bad credentials
	QuotaExceeded               // too much in this period
	reasonCount
)

// entry is the table. Title is fixed English for people; the client learns no more of a
// failure than this.
func (r Reason) entry() (name string, status int, title string) {
	switch r {
	case OK:
		return "ok", http.StatusOK, "Allowed"
	case NoRoute:
		return "no_route", http.StatusNotFound, "No route matches this request"
	case BadRequest:
		return "bad_request", http.StatusBadRequest, "The request is malformed or ambiguous"
	case NoCredential:
		return "no_credential", http.StatusUnauthorized, "A credential is required"
	case BadCredential:
		return "bad_credential", http.StatusUnauthorized, "The credential is not valid"
	case Expired:
		return "expired", http.StatusUnauthorized, "The credential has expired"
	case Forbidden:
		return "forbidden", http.StatusForbidden, "This consumer may not do this"
	case MissingScope:
		return "missing_scope", http.StatusForbidden, "The credential lacks a scope"
	case RateLimited:
		return "rate_limited", http.StatusTooManyRequests, "Too many requests"
	case QuotaExceeded:
		return "quota_exceeded", http.StatusTooManyRequests, "The quota of this period is used up"
	default:
		return "unavailable", http.StatusServiceUnavailable, "The decision cannot be made now"
	}
}

// String is the reason's word in the closed table.
func (r Reason) String() string { name, _, _ := r.entry(); return name }

// Status is the HTTP status that a client gets.
func (r Reason) Status() int { _, status, _ := r.entry(); return status }

// Title is the reason in words, for the `title` of a problem document.
func (r Reason) Title() string { _, _, title := r.entry(); return title }

// Reasons lists the whole table, for documentation and metrics.
func Reasons() []Reason {
	all := make([]Reason, 0, reasonCount)
	for r := range reasonCount {
		all = append(all, r)
	}
	return all
}

// What an authenticator answers when the search for a credential goes on.
var (
	// ErrNoCredential: nothing of this authenticator's kind was presented.
	ErrNoCredential = errors.New("no credential presented")
	// ErrNotMine: a credential of this kind was presented, but another authenticator
	// must judge it (a token of another issuer). If none does, it is a bad credential.
	ErrNotMine = errors.New("credential of another issuer")
)

// refusal is an error whose reason is known; any other error means Unavailable.
type refusal struct {
	reason Reason
	detail string
}

func (e *refusal) Error() string { return e.detail }

// Refuse makes an error that ends a decision with the given reason. The detail goes
// to the log and to explain, clipped, and must hold no secret.
func Refuse(reason Reason, format string, args ...any) error {
	return &refusal{reason: reason, detail: clipTo(fmt.Sprintf(format, args...), 256)}
}

// ReasonOf is the reason that an error carries. An error without one is our own
// failure, and we cannot know: Unavailable.
func ReasonOf(err error) Reason {
	var r *refusal
	if errors.As(err, &r) && r.reason != OK {
		return r.reason
	}
	return Unavailable
}
