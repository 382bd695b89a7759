package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stile-gate/stile/policy"
)

// DeleteConsumer deletes a consumer and all its keys: ErrNotFound when there is none. On
// another error the deletion may be done in part: then the consumer is not found any
// more, but some of its keys may still be good until it is deleted again.
func (r *Redis) DeleteConsumer(ctx context.Context, id string) (err error) {
	if policy.CheckID(id) != nil {
		return fmt.Errorf("consumer: %w", ErrNotFound)
	}
	defer r.observe("delete_consumer", time.Now(), &err)
	ctx, cancel := whole(ctx)
	defer cancel()
	if err := r.eraseConsumer(ctx, id); err != nil {
		return fmt.Errorf("delete consumer %q: %w", id, err)
	}
	return nil
}

func (r *Redis) eraseConsumer(ctx context.Context, id string) error {
	keys := []string{consumerKey(id), consumerKeysKey(id)}
	reply, err := retireScript.Run(ctx, r.client, keys).Slice()
	if errors.Is(err, redis.Nil) {
		return ErrNotFound
	}
	if err != nil || len(reply) != 3 {
		return orCorrupt(err)
	}
	if err := r.endKeys(ctx, id, membersOf(reply[2])); err != nil {
		return err
	}
	text := stringsOf(reply)
	var c storedConsumer
	if json.Unmarshal([]byte(text[0]), &c) == nil {
		r.releaseCustomID(ctx, c.CustomID, ref{consumer: id, nonce: text[1]})
	}
	if err := r.client.ZRem(ctx, consumersIndex, id).Err(); err != nil {
		return err
	}
	status, err := buryScript.Run(ctx, r.client, append(keys, consumerUsedKey(id))).Text()
	switch {
	case err != nil:
		return err
	case status == "kept":
		return fmt.Errorf("it still has keys: %w", ErrConflict)
	case status == "live": // and was taken off the list a moment ago
		return r.listConsumer(ctx, id)
	}
	return nil
}
