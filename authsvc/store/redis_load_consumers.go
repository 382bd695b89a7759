package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// consumerLoad is a consumer that comes.
type consumerLoad struct {
	Consumer
	text    string
	nonce   string // of this round
	problem *error
}

func newConsumerLoad(c Consumer, problem *error) *consumerLoad {
	c = c.clone()
	c.Created, c.Updated = plainTime(c.Created), plainTime(c.Updated)
	return &consumerLoad{Consumer: c, problem: problem}
}

func (c *consumerLoad) giveUp() { *c.problem = fmt.Errorf("consumer %q: %w", c.ID, errOvertaken) }

// custom is the nonce of the custom id.
func (c *consumerLoad) custom() string {
	if c.CustomID == "" {
		return ""
	}
	return c.nonce
}

// loadConsumers writes consumers, and answers those that others were in the way of.
func (r *Redis) loadConsumers(ctx context.Context, all []*consumerLoad) (again []*consumerLoad, err error) {
	if all, err = r.newConsumers(ctx, all); err != nil {
		return nil, err
	}
	for _, c := range all {
		c.nonce = newNonce()
		if c.text, err = encodeConsumer(c.Consumer); err != nil {
			return nil, fmt.Errorf("encode consumer %q: %w", c.ID, err)
		}
	}
	if all, err = r.claimCustomIDs(ctx, all); err != nil || len(all) == 0 {
		return nil, err
	}
	if err := r.listConsumers(ctx, all); err != nil {
		return nil, err
	}
	answers, err := runEach(ctx, r, loadConsumerScript, all, func(c *consumerLoad) call {
		return call{[]string{consumerKey(c.ID), consumerClaimKey(c.ID)}, []any{c.nonce, c.text, c.custom(), c.Version}}
	})
	if err != nil {
		return nil, fmt.Errorf("create consumers: %w", err)
	}
	var refused []*consumerLoad
	for i, c := range all {
		answer, err := answers[i].StringSlice()
		if err != nil || len(answer) == 0 {
			return nil, fmt.Errorf("create consumer %q: %w", c.ID, orCorrupt(err))
		}
		switch answer[0] {
		case "ok":
			continue
		case "leaving":
			*c.problem = createRefused(c.ID, answer[0])
		default: // it is there now, or another wants its custom id
			again = append(again, c)
		}
		refused = append(refused, c)
	}
	if err := r.unclaimEach(ctx, refused); err != nil {
		return nil, err
	}
	return again, r.listConsumers(ctx, all) // again, as CreateConsumer does
}

// newConsumers are those that are not there yet. Of the others it says whether they are the
// same.
func (r *Redis) newConsumers(ctx context.Context, all []*consumerLoad) (fresh []*consumerLoad, err error) {
	answers, err := pipelined(ctx, r.client, all, func(p redis.Pipeliner, c *consumerLoad) *redis.SliceCmd {
		return p.HMGet(ctx, consumerKey(c.ID), consumerFields...)
	})
	if err != nil {
		return nil, fmt.Errorf("read consumers: %w", err)
	}
	for i, c := range all {
		there, _, err := parseConsumerFields(c.ID, answers[i].Val())
		switch {
		case err != nil:
			return nil, err
		case there == nil:
			fresh = append(fresh, c)
		case !sameConsumer(*there, c.Consumer):
			*c.problem = fmt.Errorf("consumer %q: %w", c.ID, ErrExists)
		}
	}
	return fresh, nil
}

func sameConsumer(a, b Consumer) bool {
	one, err := encodeConsumer(a)
	other, err2 := encodeConsumer(b)
	return errors.Join(err, err2) == nil && one == other && a.Version == b.Version
}

// claimCustomIDs answers the consumers that can be written as far as their custom ids go, as
// claimCustomID does for one.
func (r *Redis) claimCustomIDs(ctx context.Context, all []*consumerLoad) (free []*consumerLoad, err error) {
	var wanting []*consumerLoad
	for _, c := range all {
		if c.CustomID == "" {
			free = append(free, c)
		} else {
			wanting = append(wanting, c)
		}
	}
	_, err = pipelined(ctx, r.client, wanting, func(p redis.Pipeliner, c *consumerLoad) *redis.StatusCmd {
		return p.Set(ctx, consumerClaimKey(c.ID), c.nonce, claimTime)
	})
	if err != nil {
		return nil, fmt.Errorf("claim custom ids: %w", err)
	}
	claims := make([]*naming, len(wanting))
	for i, c := range wanting {
		claims[i] = &naming{name: customRefKey(c.CustomID), to: ref{consumer: c.ID, nonce: c.nonce}}
	}
	if err := r.claimEach(ctx, claims, r.holdCustomIDs); err != nil {
		return nil, fmt.Errorf("claim custom ids: %w", err)
	}
	var refused []*consumerLoad
	for i, c := range wanting {
		if holder := claims[i].holder; holder != nil && holder.consumer != c.ID {
			*c.problem = customIDTaken(c.Consumer)
			refused = append(refused, c)
		} else { // if another writer of this very consumer has it, the script finds out
			free = append(free, c)
		}
	}
	return free, r.unclaimEach(ctx, refused)
}

func (r *Redis) holdCustomIDs(ctx context.Context, holders []ref) ([]bool, error) {
	answers, err := runEach(ctx, r, holdsCustomScript, holders, func(f ref) call {
		return call{[]string{consumerKey(f.consumer), consumerClaimKey(f.consumer)}, []any{f.nonce}}
	})
	hold := make([]bool, len(answers))
	for i, answer := range answers {
		hold[i], _ = answer.Bool() // runEach has seen its error
	}
	return hold, err
}

func (r *Redis) unclaimEach(ctx context.Context, all []*consumerLoad) error {
	_, err := runEach(ctx, r, releaseScript, all, func(c *consumerLoad) call {
		return call{[]string{consumerClaimKey(c.ID)}, []any{c.nonce}}
	})
	return err
}

// listConsumers is listConsumer for many.
func (r *Redis) listConsumers(ctx context.Context, all []*consumerLoad) error {
	members := make([]redis.Z, len(all))
	for i, c := range all {
		members[i].Member = c.ID
	}
	if err := r.client.ZAdd(ctx, consumersIndex, members...).Err(); err != nil {
		return fmt.Errorf("list consumers: %w", err)
	}
	return nil
}
