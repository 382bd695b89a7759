package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stile-gate/stile/policy"
)

// Keys lists the keys of a consumer, or of all when it is "", whose id comes after the
// given one, in the order of ids.
func (r *Redis) Keys(ctx context.Context, consumer, after string, limit int) (list []Key, err error) {
	if consumer != "" && policy.CheckID(consumer) != nil {
		return nil, nil
	}
	defer r.observe("keys", time.Now(), &err)
	limit = limitOrDefault(limit)
	next := r.allMembers(after)
	if consumer != "" {
		next = r.consumerMembers(consumer, after)
	}
	for len(list) < limit {
		members, err := next(ctx)
		if err != nil || len(members) == 0 {
			return list, err
		}
		alive, err := r.living(ctx, consumer, members)
		if err != nil {
			return nil, err
		}
		found, err := r.readKeys(ctx, alive)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list[:limit], nil
}

// allMembers goes through the index, a chunk a call. Members of an id begin with it and a
// space, so that what comes after them is after the id.
func (r *Redis) allMembers(after string) func(context.Context) ([]member, error) {
	from := "("
	if after != "" {
		from += after + " \xff"
	}
	return func(ctx context.Context) ([]member, error) {
		texts, err := r.list(ctx, keysIndex, from)
		if err != nil || len(texts) == 0 {
			return nil, err
		}
		from = "(" + texts[len(texts)-1]
		members := make([]member, len(texts))
		for i, text := range texts {
			members[i] = parseMember(text)
		}
		return members, nil
	}
}

// consumerMembers goes through the set of one consumer, a chunk a call.
func (r *Redis) consumerMembers(consumer, after string) func(context.Context) ([]member, error) {
	var rest []member
	read := false
	return func(ctx context.Context) ([]member, error) {
		if !read {
			texts, err := r.client.SMembers(ctx, consumerKeysKey(consumer)).Result()
			if err != nil {
				return nil, fmt.Errorf("read the keys of consumer %q: %w", consumer, err)
			}
			for _, text := range texts {
				if m := parseMember(text); m.id > after {
					rest = append(rest, m)
				}
			}
			slices.SortFunc(rest, func(a, b member) int { return strings.Compare(a.String(), b.String()) })
			read = true
		}
		some := rest[:min(len(rest), chunk)]
		rest = rest[len(some):]
		return some, nil
	}
}

// namedKey is a key that its ref still leads to.
type namedKey struct {
	id string
	ref
}

// living leaves out the members that are only traces: of keys that were never finished,
// or whose id has come to another key since. Consumer "" is any.
func (r *Redis) living(ctx context.Context, consumer string, members []member) ([]namedKey, error) {
	cmds, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, m := range members {
			p.Get(ctx, keyRefKey(m.id))
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("look up keys: %w", err)
	}
	var alive []namedKey
	for i, cmd := range cmds {
		text, err := cmd.(*redis.StringCmd).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up key %q: %w", members[i].id, err)
		}
		life, err := parseRef(text)
		if err != nil {
			return nil, fmt.Errorf("look up key %q: %w", members[i].id, err)
		}
		if life.nonce == members[i].nonce && (consumer == "" || life.consumer == consumer) {
			alive = append(alive, namedKey{members[i].id, life})
		}
	}
	return alive, nil
}

// readKeys leaves out keys that are only reserved.
func (r *Redis) readKeys(ctx context.Context, alive []namedKey) (list []Key, err error) {
	found := make(map[string]Key, len(alive)) // by id
	for rest := alive; len(rest) > 0; {
		if err := r.readInto(ctx, found, rest); err != nil {
			return nil, err
		}
		if rest, err = r.movedOn(ctx, found, rest); err != nil {
			return nil, err
		}
	}
	for _, key := range alive {
		if k, ok := found[key.id]; ok {
			list = append(list, k)
		}
	}
	return list, nil
}

// movedOn are those of keys that were not found and whose ref has become another: each has
// left the hash that it was looked for under since its ref was read.
func (r *Redis) movedOn(ctx context.Context, found map[string]Key, keys []namedKey) (moved []namedKey, err error) {
	var missing []member
	for _, key := range keys {
		if _, ok := found[key.id]; !ok {
			missing = append(missing, member{key.id, key.nonce})
		}
	}
	if len(missing) == 0 {
		return nil, nil
	}
	now, err := r.living(ctx, "", missing)
	for _, key := range now {
		if !slices.Contains(keys, key) {
			moved = append(moved, key)
		}
	}
	return moved, err
}

// readInto reads keys under each hash that they have: under the former one first, and not at
// the same time, since a key is under the other by the time that it leaves that, and the two
// may be on two nodes.
func (r *Redis) readInto(ctx context.Context, found map[string]Key, alive []namedKey) error {
	var former []namedKey
	for _, key := range alive {
		if key.moving() {
			key.hash = key.former
			former = append(former, key)
		}
	}
	if len(former) > 0 {
		if err := r.readUnder(ctx, found, former); err != nil {
			return err
		}
	}
	return r.readUnder(ctx, found, alive)
}

// readUnder reads keys under one hash each.
func (r *Redis) readUnder(ctx context.Context, found map[string]Key, places []namedKey) error {
	keys, used := make([]*redis.SliceCmd, len(places)), make([]*redis.StringCmd, len(places))
	_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range places {
			keys[i] = p.HMGet(ctx, hashKey(key.hash), "key", "nonce", "revision")
			used[i] = p.HGet(ctx, consumerUsedKey(key.consumer), key.id)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("read keys: %w", err)
	}
	for i, cmd := range keys {
		// The first error of a pipeline, redis.Nil perhaps, says nothing about the others.
		if err := cmd.Err(); err != nil {
			return fmt.Errorf("read key %q: %w", places[i].id, err)
		}
		if err := used[i].Err(); err != nil && !errors.Is(err, redis.Nil) {
			return fmt.Errorf("read key %q: %w", places[i].id, err)
		}
		text := stringsOf(cmd.Val())
		if len(text) != 3 || text[0] == "" || text[1] != places[i].nonce {
			continue
		}
		k, err := decodeKey(places[i].hash, text[0], text[2])
		if err != nil {
			return err
		}
		k.LastUsed = usedAt(used[i].Val(), k.Created)
		if k.ID != places[i].id || k.Consumer != places[i].consumer {
			return fmt.Errorf("key %q is stored as %q of consumer %q: %w", places[i].id, k.ID, k.Consumer, ErrCorrupt)
		}
		found[k.ID] = k
	}
	return nil
}
