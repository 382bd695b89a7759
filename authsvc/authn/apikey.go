package authn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/stile-gate/stile/policy"
)

// Keys finds who a key belongs to. It answers nil, nil for one that nobody has, and an
// error when it cannot know. What it hands out is shared and read only.
type Keys interface {
	Identify(ctx context.Context, key policy.Secret) (*policy.Identity, error)
}

// APIKeyOptions says where a key stands in a request, what it looks like and who knows it.
// One of Header, Query and Cookie is set.
type APIKeyOptions struct {
	Header string // a field name, in any case
	Query  string // a parameter of the query, in this very case
	Cookie string // a cookie, in this very case
	Format policy.KeyFormat
	Opaque bool // Keys is also asked about texts that are not of Format: keys of another system
	Keys   Keys
}

// APIKey accepts API keys. It remembers nothing: how long a look-up may be remembered is
// for Keys to say.
type APIKey struct{ options APIKeyOptions }

var _ policy.Authenticator = (*APIKey)(nil)

// NewAPIKey makes an authenticator, or says what is wrong with the options.
func NewAPIKey(o APIKeyOptions) (*APIKey, error) {
	places := 0
	for _, name := range []string{o.Header, o.Query, o.Cookie} {
		if name != "" {
			places++
		}
	}
	switch {
	case places != 1:
		return nil, errors.New("a key stands in one place: a header, the query or a cookie")
	case o.Keys == nil:
		return nil, errors.New("there is nobody who knows the keys")
	}
	if o.Header != "" {
		if err := policy.CheckCredentialHeader(o.Header); err != nil {
			return nil, err
		}
		o.Header = http.CanonicalHeaderKey(o.Header)
	}
	if err := checkCookieName(o.Cookie); err != nil {
		return nil, err
	}
	return &APIKey{o}, nil
}

// Authenticate answers policy.ErrNoCredential where there is no key, BadRequest for two of
// them or an empty one, BadCredential for one that nobody has (or that nobody can have,
// which asks no store), and an error without a reason (Unavailable) when Keys cannot know.
// That a key is expired or its consumer disabled is for others to judge.
func (a *APIKey) Authenticate(ctx context.Context, r *policy.Request) (*policy.Identity, error) {
	text, err := a.present(r)
	if err != nil {
		return nil, err
	}
	if err := a.possible(text); err != nil {
		return nil, policy.Refuse(policy.BadCredential, "key: %v", err)
	}
	found, err := a.options.Keys.Identify(ctx, policy.NewSecret(text))
	switch {
	case err != nil:
		return nil, fmt.Errorf("looking a key up: %w", err)
	case found == nil:
		return nil, policy.Refuse(policy.BadCredential, "nobody has this key")
	case found.ID == "" || found.ConsumerID == "" || found.Consumer == nil || found.Consumer.ID != found.ConsumerID:
		// An answer to another question, or half of one. It must not let anybody in.
		return nil, fmt.Errorf("what was found for key %q and consumer %q does not belong together", clip(found.ID), clip(found.ConsumerID))
	}
	return found, nil
}

// possible refuses what nobody can have, which spares the store the question.
func (a *APIKey) possible(text string) error {
	if a.options.Opaque && !a.options.Format.OfForm(text) {
		return a.options.Format.CheckForeign(text)
	}
	_, err := a.options.Format.Parse(text)
	return err
}

// present reads the key from where it stands.
func (a *APIKey) present(r *policy.Request) (string, error) {
	switch {
	case a.options.Query != "":
		return queryValue(r.RawQuery, a.options.Query)
	case a.options.Cookie != "":
		return cookieValue(r, a.options.Cookie)
	}
	text, err := r.Single(a.options.Header)
	switch {
	case err != nil:
		return "", err
	case len(r.Header[a.options.Header]) == 0:
		return "", policy.ErrNoCredential
	case strings.TrimSpace(text) == "":
		return "", policy.Refuse(policy.BadRequest, "header %s is empty", a.options.Header)
	}
	return text, nil
}
