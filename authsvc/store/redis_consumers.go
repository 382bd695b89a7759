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

// decodeConsumer checks that it is the one that was asked for. Fields that it does not know
// are passed over, so that an older process can read what a newer one has written; an update
// by the older one loses them.
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

// list reads a chunk of an index from a bound of ZRANGE BYLEX on.
func (r *Redis) list(ctx context.Context, index, from string) ([]string, error) {
	found, err := r.client.ZRangeArgs(ctx, redis.ZRangeArgs{Key: index, ByLex: true, Start: from, Stop: "+", Count: chunk}).Result()
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
		if err := r.claimCustomID(ctx, c, nonce); err != nil && !errors.Is(err, errOvertaken) {
			return Consumer{}, err
		} // the consumer that overtook is of this very id, and the script finds it
	}
	if err := r.listConsumer(ctx, c.ID); err != nil {
		return Consumer{}, err
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
	if c.Version, err = strconv.ParseInt(reply[1], 10, 64); err != nil {
		return Consumer{}, fmt.Errorf("create consumer %q: version %q: %w", c.ID, reply[1], ErrCorrupt)
	}
	// Again, since the deletion of a former one may have taken it off the list just now.
	return c, r.listConsumer(ctx, c.ID)
}

// listConsumer adds a consumer to the index, which names too many rather than too few.
func (r *Redis) listConsumer(ctx context.Context, id string) error {
	if err := r.client.ZAdd(ctx, consumersIndex, redis.Z{Member: id}).Err(); err != nil {
		return fmt.Errorf("list consumer %q: %w", id, err)
	}
	return nil
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
