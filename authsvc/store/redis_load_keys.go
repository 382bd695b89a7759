package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// keyLoad is a key that comes.
type keyLoad struct {
	Key       // without its last use, which stands elsewhere
	lastUsed  time.Time
	text      string
	life      ref    // of this round
	copied    string // its consumer, and the version of that
	version   string
	hashTaken bool // and not its id
	problem   *error
}

func newKeyLoad(k Key, problem *error) *keyLoad {
	n := &keyLoad{Key: k.clone(), lastUsed: k.LastUsed, problem: problem}
	n.LastUsed = time.Time{}
	return n
}

func (k *keyLoad) giveUp() {
	*k.problem = fmt.Errorf("key %q is made by another at the same time: %w", k.ID, ErrConflict)
}

// loadKeys writes keys, and answers those that others were in the way of.
func (r *Redis) loadKeys(ctx context.Context, all []*keyLoad) (again []*keyLoad, err error) {
	for _, k := range all {
		k.life = ref{hash: k.Hash, consumer: k.Consumer, nonce: newNonce()}
		k.hashTaken = false
		if k.text, err = encodeKey(k.Key); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			r.letGo(ctx, all)
		}
	}()
	held, standing, again, err := r.holdHashes(ctx, all)
	if err != nil {
		return nil, fmt.Errorf("reserve keys: %w", err)
	}
	claimed, taken, err := r.claimKeyIDs(ctx, held)
	if err != nil {
		return nil, fmt.Errorf("claim ids of keys: %w", err)
	}
	same, unfinished, err := r.compareKeys(ctx, append(standing, taken...))
	if err != nil {
		return nil, err
	}
	joined, err := r.joinEach(ctx, claimed)
	if err != nil {
		return nil, fmt.Errorf("add keys to their consumers: %w", err)
	}
	filled, err := r.fillEach(ctx, joined)
	if err != nil {
		return nil, fmt.Errorf("create keys: %w", err)
	}
	return append(again, unfinished...), r.markLoaded(ctx, append(filled, same...))
}

// holdHashes reserves hashes. Some stand already, some are reserved by others.
func (r *Redis) holdHashes(ctx context.Context, all []*keyLoad) (held, standing, reserved []*keyLoad, err error) {
	answers, err := runEach(ctx, r, holdScript, all, func(k *keyLoad) call {
		return call{[]string{hashKey(k.Hash)}, []any{k.life.nonce, claimTime.Milliseconds(), (claimTime - writeTime).Milliseconds()}}
	})
	if err != nil {
		return nil, nil, nil, err
	}
	for i, k := range all {
		switch status, _ := answers[i].Text(); status {
		case "held":
			held = append(held, k)
		case "reserved":
			reserved = append(reserved, k)
		default:
			k.hashTaken = true
			standing = append(standing, k)
		}
	}
	return held, standing, reserved, nil
}

// letGo frees the hashes of keys that were not finished, so that they can be loaded again at
// once. Without this the reservations expire.
func (r *Redis) letGo(ctx context.Context, all []*keyLoad) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), letGoTime)
	defer cancel()
	_, _ = runEach(ctx, r, letGoScript, all, func(k *keyLoad) call {
		return call{[]string{hashKey(k.Hash)}, []any{k.life.nonce}}
	})
}

const letGoTime = time.Second

// claimKeyIDs makes the ids lead to the keys. Where they lead to others it frees the hashes.
func (r *Redis) claimKeyIDs(ctx context.Context, all []*keyLoad) (claimed, taken []*keyLoad, err error) {
	claims := make([]*naming, len(all))
	for i, k := range all {
		claims[i] = &naming{name: keyRefKey(k.ID), to: k.life}
	}
	if err := r.claimEach(ctx, claims, r.liveEach); err != nil {
		return nil, nil, err
	}
	for i, k := range all {
		if claims[i].holder == nil {
			claimed = append(claimed, k)
		} else {
			taken = append(taken, k)
		}
	}
	_, err = runEach(ctx, r, endScript, taken, func(k *keyLoad) call {
		return call{[]string{hashKey(k.Hash)}, []any{k.life.nonce}}
	})
	return claimed, taken, err
}

// liveEach is lives for many: all of the former hashes are looked at first.
func (r *Redis) liveEach(ctx context.Context, lives []ref) ([]bool, error) {
	alive := make([]bool, len(lives))
	for _, hash := range []func(ref) string{func(f ref) string { return f.former }, func(f ref) string { return f.hash }} {
		var places []int
		for i, life := range lives {
			if hash(life) != "" {
				places = append(places, i)
			}
		}
		answers, err := pipelined(ctx, r.client, places, func(p redis.Pipeliner, i int) *redis.StringCmd {
			return p.HGet(ctx, hashKey(hash(lives[i])), "nonce")
		})
		if err != nil {
			return nil, err
		}
		for at, i := range places {
			alive[i] = alive[i] || answers[at].Val() == lives[i].nonce
		}
	}
	return alive, nil
}

// compareKeys holds keys whose hash or id is taken against what is there: the same is well,
// and what another has not finished is to be looked at again.
func (r *Redis) compareKeys(ctx context.Context, all []*keyLoad) (same, unfinished []*keyLoad, err error) {
	there, err := r.keysByID(ctx, all)
	if err != nil {
		return nil, nil, err
	}
	for _, k := range all {
		found, ok := there[k.ID]
		switch {
		case ok && sameKey(found, k.Key):
			same = append(same, k)
		case ok:
			*k.problem = fmt.Errorf("key %q: %w", k.ID, ErrExists)
		case k.hashTaken:
			*k.problem = hashTaken(k.Key)
		default:
			unfinished = append(unfinished, k)
		}
	}
	return same, unfinished, nil
}

func (r *Redis) keysByID(ctx context.Context, wanted []*keyLoad) (map[string]Key, error) {
	refs, err := pipelined(ctx, r.client, wanted, func(p redis.Pipeliner, k *keyLoad) *redis.StringCmd {
		return p.Get(ctx, keyRefKey(k.ID))
	})
	if err != nil {
		return nil, fmt.Errorf("look up keys: %w", err)
	}
	var named []namedKey
	for i, k := range wanted {
		if errors.Is(refs[i].Err(), redis.Nil) {
			continue
		}
		life, err := parseRef(refs[i].Val())
		if err != nil {
			return nil, fmt.Errorf("look up key %q: %w", k.ID, err)
		}
		named = append(named, namedKey{k.ID, life})
	}
	found, err := r.readKeys(ctx, named)
	there := make(map[string]Key, len(found))
	for _, k := range found {
		there[k.ID] = k
	}
	return there, err
}

func sameKey(a, b Key) bool {
	one, err := encodeKey(a)
	other, err2 := encodeKey(b)
	return errors.Join(err, err2) == nil && one == other && a.Version == b.Version
}

// joinEach adds keys to their consumers, as fill does. Those without one are undone.
func (r *Redis) joinEach(ctx context.Context, all []*keyLoad) (joined []*keyLoad, err error) {
	answers, err := runEach(ctx, r, joinScript, all, func(k *keyLoad) call {
		return call{[]string{consumerKey(k.Consumer), consumerKeysKey(k.Consumer)}, []any{member{k.ID, k.life.nonce}.String()}}
	})
	if err != nil {
		return nil, err
	}
	var orphans []*keyLoad
	for i, k := range all {
		consumer, err := answers[i].StringSlice()
		switch {
		case errors.Is(err, redis.Nil):
			*k.problem = fmt.Errorf("create key %q: consumer %q: %w", k.ID, k.Consumer, ErrNotFound)
			orphans = append(orphans, k)
		case err != nil || len(consumer) != 2:
			return nil, orCorrupt(err)
		default:
			k.copied, k.version = consumer[0], consumer[1]
			joined = append(joined, k)
		}
	}
	return joined, r.undo(ctx, orphans)
}

// fillEach lists keys and makes them usable, as fill does. Those that were ended meanwhile
// are undone.
func (r *Redis) fillEach(ctx context.Context, all []*keyLoad) (filled []*keyLoad, err error) {
	if len(all) == 0 {
		return nil, nil
	}
	members := make([]redis.Z, len(all))
	for i, k := range all {
		members[i].Member = member{k.ID, k.life.nonce}.String()
	}
	if err := r.client.ZAdd(ctx, keysIndex, members...).Err(); err != nil {
		return nil, err
	}
	answers, err := runEach(ctx, r, loadKeyScript, all, func(k *keyLoad) call {
		return call{[]string{hashKey(k.Hash)}, []any{k.life.nonce, k.text, k.copied, k.version, k.Version}}
	})
	if err != nil {
		return nil, err
	}
	var ended []*keyLoad
	for i, k := range all {
		if ok, _ := answers[i].Bool(); ok {
			filled = append(filled, k)
			continue
		}
		*k.problem = fmt.Errorf("create key %q: it or its consumer was deleted meanwhile: %w", k.ID, ErrNotFound)
		ended = append(ended, k)
	}
	return filled, r.undo(ctx, ended)
}

// undo frees what keys had taken that came to nothing.
func (r *Redis) undo(ctx context.Context, all []*keyLoad) error {
	byConsumer := map[string][]member{}
	for _, k := range all {
		byConsumer[k.Consumer] = append(byConsumer[k.Consumer], member{k.ID, k.life.nonce})
	}
	for consumer, members := range byConsumer {
		if err := r.endKeys(ctx, consumer, members); err != nil {
			return err
		}
	}
	return nil
}

// markLoaded writes the last uses of keys.
func (r *Redis) markLoaded(ctx context.Context, all []*keyLoad) error {
	var uses []Use
	for _, k := range all {
		if !k.lastUsed.IsZero() {
			uses = append(uses, Use{Consumer: k.Consumer, Key: k.ID, At: k.lastUsed})
		}
	}
	if len(uses) == 0 {
		return nil
	}
	return r.MarkUsed(ctx, uses)
}
