package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stile-gate/stile/policy"
)

// storedConsumer is the JSON of a consumer. The version stands beside it, where scripts
// can count it.
type storedConsumer struct {
	policy.Consumer
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

func encodeConsumer(c Consumer) (string, error) {
	text, err := json.Marshal(storedConsumer{c.Consumer, c.Created, c.Updated})
	return string(text), err
}

// decodeConsumer checks that it is the one that was asked for.
func decodeConsumer(id, text, version string) (Consumer, error) {
	var in storedConsumer
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return Consumer{}, fmt.Errorf("consumer %q: %w: %w", id, ErrCorrupt, err)
	}
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil || in.ID != id {
		return Consumer{}, fmt.Errorf("consumer %q is stored as %q, version %q: %w", id, in.ID, version, ErrCorrupt)
	}
	return Consumer{Consumer: in.Consumer, Version: n, Created: in.Created, Updated: in.Updated}, nil
}

// consumerFields are what parseConsumerFields takes.
var consumerFields = []string{"state", "json", "version", "custom"}

// parseConsumerFields answers nil when there is no consumer, and the nonce of its custom id.
func parseConsumerFields(id string, fields []any) (c *Consumer, custom string, err error) {
	text := stringsOf(fields)
	if len(text) != len(consumerFields) || text[0] != "live" {
		return nil, "", nil
	}
	decoded, err := decodeConsumer(id, text[1], text[2])
	return &decoded, text[3], err
}

// stringsOf turns a reply into strings, nil into "".
func stringsOf(reply []any) []string {
	text := make([]string, len(reply))
	for i, v := range reply {
		text[i], _ = v.(string)
	}
	return text
}

// Consumer finds a consumer in one round trip; nil, nil when there is none.
func (r *Redis) Consumer(ctx context.Context, id string) (c *Consumer, err error) {
	if policy.CheckID(id) != nil {
		return nil, nil
	}
	defer r.observe("consumer", time.Now(), &err)
	c, _, err = r.readConsumer(ctx, id)
	return c, err
}

func (r *Redis) readConsumer(ctx context.Context, id string) (c *Consumer, custom string, err error) {
	fields, err := r.client.HMGet(ctx, consumerKey(id), consumerFields...).Result()
	if err != nil {
		return nil, "", fmt.Errorf("read consumer %q: %w", id, err)
	}
	return parseConsumerFields(id, fields)
}

// Consumers lists those whose id comes after the given one, in the order of ids.
func (r *Redis) Consumers(ctx context.Context, after string, limit int) (list []Consumer, err error) {
	defer r.observe("consumers", time.Now(), &err)
	limit = limitOrDefault(limit)
	for from := "(" + after; len(list) < limit; {
		ids, err := r.list(ctx, consumersIndex, from)
		if err != nil || len(ids) == 0 {
			return list, err
		}
		from = "(" + ids[len(ids)-1]
		found, err := r.readConsumers(ctx, ids)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list[:limit], nil
}

// chunk is how many keys a pipeline asks for.
const chunk = 100

// list reads an index from a bound of ZRANGEBYLEX on.
func (r *Redis) list(ctx context.Context, index, from string) ([]string, error) {
	found, err := r.client.ZRangeByLex(ctx, index, &redis.ZRangeBy{Min: from, Max: "+", Count: chunk}).Result()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", index, err)
	}
	return found, nil
}

// readConsumers leaves out those that an index still names though they are gone.
func (r *Redis) readConsumers(ctx context.Context, ids []string) (list []Consumer, err error) {
	cmds, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, id := range ids {
			p.HMGet(ctx, consumerKey(id), consumerFields...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read consumers: %w", err)
	}
	for i, cmd := range cmds {
		c, _, err := parseConsumerFields(ids[i], cmd.(*redis.SliceCmd).Val())
		if err != nil {
			return nil, err
		}
		if c != nil {
			list = append(list, *c)
		}
	}
	return list, nil
}

// CreateConsumer stores a new consumer: ErrExists when its id or custom id is taken,
// ErrConflict while one of the same id is being deleted.
func (r *Redis) CreateConsumer(ctx context.Context, c Consumer) (created Consumer, err error) {
	if err := c.Validate(); err != nil {
		return Consumer{}, err
	}
	defer r.observe("create_consumer", time.Now(), &err)
	ctx, cancel := whole(ctx)
	defer cancel()
	c = c.clone()
	c.Created = plainTime(r.Now())
	c.Updated = c.Created
	text, err := encodeConsumer(c)
	if err != nil {
		return Consumer{}, fmt.Errorf("encode consumer %q: %w", c.ID, err)
	}
	nonce, custom := newNonce(), ""
	if c.CustomID != "" {
		custom = nonce
		if err := r.claimCustomID(ctx, c, nonce); err != nil {
			return Consumer{}, err
		}
	}
	if err := r.client.ZAdd(ctx, consumersIndex, redis.Z{Member: c.ID}).Err(); err != nil {
		return Consumer{}, fmt.Errorf("list consumer %q: %w", c.ID, err)
	}
	keys := []string{consumerKey(c.ID), consumerClaimKey(c.ID)}
	reply, err := createScript.Run(ctx, r.client, keys, nonce, text, custom).StringSlice()
	if err != nil || len(reply) != 2 {
		return Consumer{}, fmt.Errorf("create consumer %q: %w", c.ID, orCorrupt(err))
	}
	if reply[0] != "ok" {
		r.unclaim(ctx, c.ID, nonce)
		return Consumer{}, createRefused(c.ID, reply[0])
	}
	c.Version, err = strconv.ParseInt(reply[1], 10, 64)
	return c, err
}

// errOvertaken: another writer came first; an update starts again.
var errOvertaken = fmt.Errorf("consumer was written by another at the same time: %w", ErrConflict)

func createRefused(id, status string) error {
	switch status {
	case "exists":
		return fmt.Errorf("consumer %q: %w", id, ErrExists)
	case "leaving":
		return fmt.Errorf("the deletion of consumer %q has not ended; delete it again: %w", id, ErrConflict)
	default:
		return errOvertaken
	}
}

func orCorrupt(err error) error {
	if err == nil {
		return fmt.Errorf("unknown answer of a script: %w", ErrCorrupt)
	}
	return err
}

// claimCustomID makes c's custom id lead to c, and lets a script write it within claimTime.
func (r *Redis) claimCustomID(ctx context.Context, c Consumer, nonce string) error {
	if err := r.client.Set(ctx, consumerClaimKey(c.ID), nonce, claimTime).Err(); err != nil {
		return fmt.Errorf("claim custom id of consumer %q: %w", c.ID, err)
	}
	holder, err := r.claim(ctx, customRefKey(c.CustomID), ref{consumer: c.ID, nonce: nonce}, r.holdsCustomID)
	switch {
	case err != nil:
		return fmt.Errorf("claim custom id of consumer %q: %w", c.ID, err)
	case holder == nil:
		return nil
	}
	r.unclaim(ctx, c.ID, nonce)
	if holder.consumer == c.ID {
		return errOvertaken
	}
	return customIDTaken(c)
}

func (r *Redis) holdsCustomID(ctx context.Context, f ref) (bool, error) {
	keys := []string{consumerKey(f.consumer), consumerClaimKey(f.consumer)}
	return holdsCustomScript.Run(ctx, r.client, keys, f.nonce).Bool()
}

// unclaim frees a custom id that was claimed and not written. The ref may stay: nothing
// stands behind it, so that the next claim replaces it. Without this the claim expires.
func (r *Redis) unclaim(ctx context.Context, consumer, nonce string) {
	_ = r.run(ctx, releaseScript, consumerClaimKey(consumer), nonce)
}

// releaseCustomID is for one that a consumer has no longer. It is tidiness only, as unclaim.
func (r *Redis) releaseCustomID(ctx context.Context, customID string, f ref) {
	if customID != "" {
		_ = r.run(ctx, releaseScript, customRefKey(customID), f.String())
	}
}

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
	keys := []string{consumerKey(id), consumerKeysKey(id)}
	reply, err := retireScript.Run(ctx, r.client, keys).Slice()
	if errors.Is(err, redis.Nil) {
		return fmt.Errorf("consumer %q: %w", id, ErrNotFound)
	}
	if err != nil || len(reply) != 3 {
		return fmt.Errorf("delete consumer %q: %w", id, orCorrupt(err))
	}
	if err := r.endKeys(ctx, id, membersOf(reply[2])); err != nil {
		return fmt.Errorf("delete consumer %q: %w", id, err)
	}
	text := stringsOf(reply)
	var c storedConsumer
	if json.Unmarshal([]byte(text[0]), &c) == nil {
		r.releaseCustomID(ctx, c.CustomID, ref{consumer: id, nonce: text[1]})
	}
	if err := r.client.ZRem(ctx, consumersIndex, id).Err(); err != nil {
		return fmt.Errorf("delete consumer %q: %w", id, err)
	}
	empty, err := buryScript.Run(ctx, r.client, keys).Bool()
	if err == nil && !empty {
		err = ErrConflict
	}
	if err != nil {
		return fmt.Errorf("delete consumer %q: %w", id, err)
	}
	return nil
}
