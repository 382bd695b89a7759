package authsvc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// keyCreated shows a key, the one time that it is shown.
type keyCreated struct {
	store.Key
	Text string `json:"key,omitempty"` // of one that was imported, the caller has it
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
	key, text, err := a.checkedKey(in)
	if err != nil {
		return keyCreated{}, err
	}
	err = a.Keys.CreateKey(ctx, key)
	a.Local.ForgetNegative()
	if errors.Is(err, store.ErrUnannounced) {
		// Others may take it for unknown for some seconds yet. To fail would keep its text from
		// everybody, for it is shown this once.
		a.Log.WarnContext(ctx, "a new key could not be announced", "key", key.ID, "error", err)
		err = nil
	}
	return keyCreated{key, text.Reveal()}, err
}

// checkedKey is the key that is to be made, as far as can be told without the store, and its
// text as newKey has it.
func (a *Admin) checkedKey(in keyInput) (store.Key, policy.Secret, error) {
	key, text, err := a.newKey(in)
	if err != nil {
		return key, text, err
	}
	key = in.apply(key)
	key.Created, key.Version = a.now(), 1
	if err := a.checkKey(key); err != nil {
		return key, text, err
	}
	if err := a.notOver(key); err != nil {
		return key, text, err
	}
	if err := a.undeclared(key.Consumer); err != nil {
		return key, text, err
	}
	if a.declaredKey(key.ID) != nil {
		return key, text, declaredHere(key.ID)
	}
	return key, text, nil
}

// now is the time as keys are dated.
func (a *Admin) now() time.Time { return a.Now().UTC().Truncate(time.Second) }

// listKeys shows the keys of one consumer, or of all, those of the file first.
func (a *Admin) listKeys(ctx context.Context, r *http.Request, _ none) (list keyList, err error) {
	after, limit, err := a.paging(r)
	if err != nil {
		return list, err
	}
	consumer := r.URL.Query().Get("consumer")
	if consumer != "" {
		if err := a.checkID("consumer", consumer); err != nil {
			return list, err
		}
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
	k, err := a.storedKey(ctx, id)
	if err != nil {
		return keyView{}, err
	}
	return keyView{*k, false}, nil
}

// revokeKey deletes a key. With ?wait=30s it answers when the other replicas know, too.
func (a *Admin) revokeKey(ctx context.Context, r *http.Request, _ none) (*applied, error) {
	id, err := a.pathID(r)
	if err != nil {
		return nil, err
	}
	patience, err := waiting(r)
	if err != nil {
		return nil, err
	}
	if a.declaredKey(id) != nil {
		return nil, declaredHere(id)
	}
	err = a.Keys.RevokeKey(ctx, id)
	a.Local.ForgetKey(id)
	if err != nil || patience == 0 {
		return nil, err
	}
	return a.wait(ctx, patience)
}

// declaredHere refuses to change a key of the configuration file.
func declaredHere(id string) error {
	return &callError{http.StatusConflict, fmt.Sprintf("key %q is declared in the configuration file; change it there", id)}
}

func (a *Admin) declaredKey(id string) *store.Key {
	for _, k := range a.Declared.Keys() {
		if k.ID == id {
			return &k
		}
	}
	return nil
}
