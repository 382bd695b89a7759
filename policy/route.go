package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Route is a pattern and what it demands of those who come by it.
type Route struct {
	Name         string
	Match        string               // a pattern: [METHOD ][HOST]/[PATH]
	Public       string               // why it needs no credential; "" when it does
	Authenticate []NamedAuthenticator // tried in this order
	Require      Require
	Limits       []*Limit
	Cost         int64   // what a request takes of each limit; 0 for 1
	Encoded      Encoded // escapes that the upstream takes as data
	Upstream     string  // the gateway's name for where it goes

	pattern pattern
}

// NamedAuthenticator is an authenticator under the name that the configuration gives it.
type NamedAuthenticator struct {
	Name   string
	Scheme Scheme
	Authenticator
}

// Scheme is an HTTP authentication scheme, for the challenge of a 401.
type Scheme string

// The schemes in use. ApiKey is Kong's word; RFC 6750 defines Bearer.
const (
	Bearer Scheme = "Bearer"
	APIKey Scheme = "ApiKey"
)

// Require is what a route demands of an identity.
type Require struct {
	Groups []string // one of these
	Scopes []string // all of these
}

// Authenticator turns a credential into an identity. It answers ErrNoCredential when
// nothing of its kind was presented, ErrNotMine when another must judge what was, an
// error of Refuse when the credential is not good, and any other error when it cannot
// know. The identity is shared and must not be changed.
type Authenticator interface {
	Authenticate(context.Context, *Request) (*Identity, error)
}

// Directory finds consumers in our books. It answers nil, nil for one that is not there,
// and an error when it cannot know.
type Directory interface {
	Consumer(ctx context.Context, id string) (*Consumer, error)
}

// RouteError is a problem with one route, found at load.
type RouteError struct {
	Route string
	Err   error
}

func (e *RouteError) Error() string { return fmt.Sprintf("route %q: %v", e.Route, e.Err) }
func (e *RouteError) Unwrap() error { return e.Err }

// compile parses the pattern and refuses options that would do nothing.
func (r *Route) compile() error {
	p, err := parsePattern(r.Match)
	if err != nil {
		return &RouteError{r.Name, fmt.Errorf("match %q: %w", r.Match, err)}
	}
	r.pattern = p
	demands := len(r.Require.Groups)+len(r.Require.Scopes) > 0
	switch {
	case r.Public == "" && len(r.Authenticate) == 0:
		err = errors.New("no authenticate; a route without authentication says why, in public")
	case r.Public != "" && len(r.Authenticate) > 0:
		err = errors.New("public: and authenticate: exclude each other")
	case r.Cost < 0 || r.Cost > 0 && len(r.Limits) == 0:
		err = errors.New("cost: is at least 1, and goes with a limit")
	case r.Public != "" && slices.ContainsFunc(r.Limits, (*Limit).knowsCaller):
		err = errors.New("a public route knows nobody, so it can be limited per ip or per route alone")
	case slices.ContainsFunc(r.Limits, func(l *Limit) bool { return r.Cost > l.most() }):
		err = errors.New("cost: is more than one of the limits ever allows")
	case r.Public != "" && demands:
		err = errors.New("public: and require: exclude each other")
	case slices.ContainsFunc(r.Authenticate, func(a NamedAuthenticator) bool { return a.Authenticator == nil }):
		err = errors.New("an authenticator is missing")
	case !slices.ContainsFunc(r.Require.Scopes, notScope):
	default:
		err = errors.New("a scope is printable ASCII without space, quote and backslash (RFC 6749 §3.3)")
	}
	switch {
	case err != nil:
	case p.encoded()&^r.Encoded != 0:
		err = fmt.Errorf("match %q can match nothing without encoded: [%s]", r.Match, p.encoded()&^r.Encoded)
	}
	if err != nil {
		return &RouteError{r.Name, err}
	}
	return nil
}

func notScope(scope string) bool {
	for i := range len(scope) {
		if c := scope[i]; c <= ' ' || c == '"' || c == '\\' || c > '~' {
			return true
		}
	}
	return scope == ""
}
