package authsvc

import (
	"context"
	"fmt"
	"net/http"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// consumerView is a consumer as the API shows it.
type consumerView struct {
	store.Consumer
	Declared bool `json:"declared,omitempty"` // in the configuration file, and changed there alone
}

type consumerList struct {
	Consumers []consumerView `json:"consumers"`
	Next      string         `json:"next,omitempty"` // pass as ?after= for the next page
}

// consumerInput is what a caller may write.
type consumerInput struct {
	policy.Consumer
	Version int64 `json:"version,omitempty"` // of the consumer that was read; 0 overwrites whatever is there
}

// listConsumers shows the declared ones before the first page of the store's.
func (a *Admin) listConsumers(ctx context.Context, r *http.Request, _ none) (list consumerList, err error) {
	after, limit, err := a.paging(r)
	if err != nil {
		return list, err
	}
	list.Consumers = []consumerView{}
	if after == "" {
		for _, c := range a.Declared.Consumers() {
			list.Consumers = append(list.Consumers, consumerView{store.Consumer{Consumer: c}, true})
		}
	}
	stored, err := a.Consumers.Consumers(ctx, after, limit)
	if err != nil {
		return list, err
	}
	for _, c := range stored {
		list.Consumers = append(list.Consumers, consumerView{c, false})
	}
	if len(stored) == limit {
		list.Next = stored[limit-1].ID
	}
	return list, nil
}

func (a *Admin) createConsumer(ctx context.Context, _ *http.Request, in consumerInput) (consumerView, error) {
	c, err := a.newConsumer(in)
	if err != nil {
		return consumerView{}, err
	}
	created, err := a.Consumers.CreateConsumer(ctx, c)
	a.Local.ForgetNegative()
	return consumerView{created, false}, err
}

// newConsumer is the consumer that is to be made, as far as can be told without the store.
func (a *Admin) newConsumer(in consumerInput) (store.Consumer, error) {
	if in.Version != 0 {
		return store.Consumer{}, badCall("version: is for an update; leave it out of a new consumer")
	}
	c := store.Consumer{Consumer: in.Consumer}
	if err := c.Validate(); err != nil {
		return store.Consumer{}, err
	}
	return c, a.undeclared(c.ID)
}

func (a *Admin) showConsumer(ctx context.Context, r *http.Request, _ none) (consumerView, error) {
	id, err := a.pathID(r)
	if err != nil {
		return consumerView{}, err
	}
	if c := a.Declared.Consumer(id); c != nil {
		return consumerView{store.Consumer{Consumer: *c}, true}, nil
	}
	c, err := a.Consumers.Consumer(ctx, id)
	if err == nil && c == nil {
		err = fmt.Errorf("consumer %q: %w", id, store.ErrNotFound)
	}
	if err != nil {
		return consumerView{}, err
	}
	return consumerView{*c, false}, nil
}

// updateConsumer replaces the whole consumer.
func (a *Admin) updateConsumer(ctx context.Context, r *http.Request, in consumerInput) (consumerView, error) {
	id, err := a.pathID(r)
	if err != nil {
		return consumerView{}, err
	}
	if in.ID == "" {
		in.ID = id
	}
	if in.ID != id {
		return consumerView{}, badCall("the id in the body is not the one in the path; an id cannot be changed")
	}
	c := store.Consumer{Consumer: in.Consumer, Version: in.Version}
	if err := c.Validate(); err != nil {
		return consumerView{}, err
	}
	if err := a.undeclared(id); err != nil {
		return consumerView{}, err
	}
	updated, err := a.Consumers.UpdateConsumer(ctx, c)
	a.Local.ForgetConsumer(id)
	return consumerView{updated, false}, err
}

func (a *Admin) deleteConsumer(ctx context.Context, r *http.Request, _ none) (none, error) {
	id, err := a.pathID(r)
	if err != nil {
		return none{}, err
	}
	if err := a.undeclared(id); err != nil {
		return none{}, err
	}
	err = a.Consumers.DeleteConsumer(ctx, id)
	a.Local.ForgetConsumer(id)
	return none{}, err
}

// undeclared refuses to change what the configuration file declares.
func (a *Admin) undeclared(consumer string) error {
	if a.Declared.Consumer(consumer) == nil {
		return nil
	}
	return &callError{http.StatusConflict, fmt.Sprintf("consumer %q is declared in the configuration file; change it there", consumer)}
}
