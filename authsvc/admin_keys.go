package authsvc

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// keyInput is what a caller may ask for.
type keyInput struct {
	Consumer  string    `json:"consumer"`
	Name      string    `json:"name,omitempty"`
	Scopes    []string  `json:"scopes,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // RFC 3339
}

// keyCreated shows a key, the one time that it is shown.
type keyCreated struct {
	store.Key
	Text string `json:"key"`
}

type keyView struct {
	store.Key
	Declared bool `json:"declared,omitempty"`
}

type keyList struct {
	Keys []keyView `json:"keys"`
	Next string    `json:"next,omitempty"`
}

func (a *Admin) createKey(ctx context.Context, _ *http.Request, in keyInput) (keyCreated, error) {
	id, secret := a.Format.New()
	key := store.Key{
		ID: id, Consumer: in.Consumer, Hash: a.Pepper.HashKey(secret), Name: in.Name,
		Scopes: in.Scopes, ExpiresAt: in.ExpiresAt, Created: a.Now().UTC().Truncate(time.Second),
	}
	if err := key.Validate(); err != nil {
		return keyCreated{}, err
	}
	if !key.ExpiresAt.IsZero() && !key.ExpiresAt.After(a.Now()) {
		return keyCreated{}, badCall("expires_at is not in the future")
	}
	if err := a.undeclared(key.Consumer); err != nil {
		return keyCreated{}, err
	}
	err := a.Keys.CreateKey(ctx, key)
	a.Local.ForgetNegative()
	return keyCreated{key, secret.Reveal()}, err
}

// listKeys shows the keys of one consumer, or of all, those of the file first.
func (a *Admin) listKeys(ctx context.Context, r *http.Request, _ none) (list keyList, err error) {
	after, limit, err := paging(r)
	if err != nil {
		return list, err
	}
	consumer := r.URL.Query().Get("consumer")
	if consumer != "" && policy.CheckID(consumer) != nil {
		return list, badCall("%q is no consumer's id", consumer)
	}
	list.Keys = []keyView{}
	if after == "" {
		for _, k := range a.Declared.Keys() {
			if consumer == "" || k.Consumer == consumer {
				list.Keys = append(list.Keys, keyView{k, true})
			}
		}
	}
	stored, err := a.Keys.Keys(ctx, consumer, after, limit)
	if err != nil {
		return list, err
	}
	for _, k := range stored {
		list.Keys = append(list.Keys, keyView{k, false})
	}
	if len(stored) == limit {
		list.Next = stored[limit-1].ID
	}
	return list, nil
}

func (a *Admin) showKey(ctx context.Context, r *http.Request, _ none) (keyView, error) {
	id, err := a.pathID(r)
	if err != nil {
		return keyView{}, err
	}
	if k := a.declaredKey(id); k != nil {
		return keyView{*k, true}, nil
	}
	k, err := a.Keys.Key(ctx, id)
	if err == nil && k == nil {
		err = fmt.Errorf("key %q: %w", id, store.ErrNotFound)
	}
	if err != nil {
		return keyView{}, err
	}
	return keyView{*k, false}, nil
}

func (a *Admin) revokeKey(ctx context.Context, r *http.Request, _ none) (none, error) {
	id, err := a.pathID(r)
	if err != nil {
		return none{}, err
	}
	if a.declaredKey(id) != nil {
		return none{}, &callError{http.StatusConflict, fmt.Sprintf("key %q is declared in the configuration file; remove it there", id)}
	}
	err = a.Keys.RevokeKey(ctx, id)
	a.Local.ForgetKey(id)
	return none{}, err
}

func (a *Admin) declaredKey(id string) *store.Key {
	for _, k := range a.Declared.Keys() {
		if k.ID == id {
			return &k
		}
	}
	return nil
}
