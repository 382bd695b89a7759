package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// updateAttempts bounds how often an update starts again because another one changed
// the custom id under it.
const updateAttempts = 10

// UpdateConsumer replaces a consumer and the copies that its keys have: ErrNotFound when
// there is none, ErrConflict when its version is not c's, unless that is 0, and ErrExists
// when the custom id is taken. After another error the consumer may be stored while some
// keys still have the old copy; every further call, be it refused with ErrConflict, sends
// them the stored one.
func (r *Redis) UpdateConsumer(ctx context.Context, c Consumer) (updated Consumer, err error) {
	if err := c.Validate(); err != nil {
		return Consumer{}, err
	}
	defer r.observe("update_consumer", time.Now(), &err)
	ctx, cancel := whole(ctx)
	defer cancel()
	c = c.clone()
	for range updateAttempts {
		if updated, err = r.tryUpdate(ctx, c); !errors.Is(err, errOvertaken) {
			break
		}
	}
	return updated, err
}

func (r *Redis) tryUpdate(ctx context.Context, c Consumer) (Consumer, error) {
	old, oldCustom, err := r.readConsumer(ctx, c.ID)
	if err != nil {
		return Consumer{}, err
	}
	if old == nil {
		return Consumer{}, fmt.Errorf("consumer %q: %w", c.ID, ErrNotFound)
	}
	nonce, custom := newNonce(), oldCustom
	if c.CustomID != old.CustomID {
		custom = ""
		if c.CustomID != "" {
			custom = nonce
			if err := r.claimCustomID(ctx, c, nonce); err != nil {
				return Consumer{}, err
			}
		}
	}
	status, now, err := r.write(ctx, c, old.Created, nonce, custom, oldCustom)
	if err != nil {
		return Consumer{}, err
	}
	switch status {
	case "ok":
		if custom != oldCustom {
			r.releaseCustomID(ctx, old.CustomID, ref{consumer: c.ID, nonce: oldCustom})
		}
		return now.consumer, r.push(ctx, now)
	case "conflict":
		r.unclaim(ctx, c.ID, nonce)
		if err := r.push(ctx, now); err != nil {
			return Consumer{}, err
		}
		return Consumer{}, versionConflict(c, now.consumer.Version)
	default: // "overtaken", or "missing", which the next reading finds out
		r.unclaim(ctx, c.ID, nonce)
		return Consumer{}, errOvertaken
	}
}

// copied is a consumer as it is stored, for the copies that its keys have.
type copied struct {
	consumer      Consumer
	text, version string
	keys          []member
}

// write runs updateScript and reads its answer.
func (r *Redis) write(ctx context.Context, c Consumer, created time.Time, nonce, custom, oldCustom string) (string, copied, error) {
	wanted := c.Version
	c.Created, c.Updated = created, plainTime(r.Now())
	text, err := encodeConsumer(c)
	if err != nil {
		return "", copied{}, fmt.Errorf("encode consumer %q: %w", c.ID, err)
	}
	keys := []string{consumerKey(c.ID), consumerClaimKey(c.ID), consumerKeysKey(c.ID)}
	reply, err := updateScript.Run(ctx, r.client, keys, nonce, text, custom, oldCustom, wanted).Slice()
	if err != nil || len(reply) == 0 {
		return "", copied{}, fmt.Errorf("update consumer %q: %w", c.ID, orCorrupt(err))
	}
	answer := stringsOf(reply)
	if len(reply) < 4 {
		return answer[0], copied{}, nil
	}
	now := copied{version: answer[1], text: answer[2], keys: membersOf(reply[3])}
	now.consumer, err = decodeConsumer(c.ID, now.text, now.version)
	return answer[0], now, err
}

func membersOf(reply any) []member {
	list, _ := reply.([]any)
	members := make([]member, len(list))
	for i, text := range stringsOf(list) {
		members[i] = parseMember(text)
	}
	return members
}

// push gives every key of a consumer its newest copy. It also lists the consumer, should a
// deletion that was held up have taken a new one of the same id off the list.
func (r *Redis) push(ctx context.Context, now copied) error {
	id := now.consumer.ID
	failed := func(err error) error {
		return fmt.Errorf("consumer %q is stored, but not all its keys know; update it again: %w", id, err)
	}
	if err := r.listConsumer(ctx, id); err != nil {
		return failed(err)
	}
	for some := range slices.Chunk(now.keys, chunk) {
		living, err := r.living(ctx, id, some)
		if err != nil {
			return failed(err)
		}
		_, err = r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, key := range living {
				for _, hash := range key.hashes() {
					pushScript.Eval(ctx, p, []string{hashKey(hash)}, key.nonce, now.text, now.version)
				}
			}
			return nil
		})
		if err != nil {
			return failed(err)
		}
	}
	return nil
}
