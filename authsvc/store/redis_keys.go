package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stile-gate/stile/policy"
)

// storedKey is the JSON of a key, which unlike that of Key has the hash. The version
// stands beside it, where scripts can count it.
type storedKey struct {
	Key
	Hash string `json:"hash"`
}

func encodeKey(k Key) (string, error) {
	k.Version, k.LastUsed = 0, time.Time{}
	text, err := json.Marshal(storedKey{k, k.Hash})
	if err != nil {
		return "", fmt.Errorf("encode key %q: %w", k.ID, err)
	}
	return string(text), nil
}

// decodeKey checks that it is the one that was asked for. Revision "" is that of a key
// that was never changed. Fields that this version does not know are passed over, as
// decodeConsumer does.
func decodeKey(hash, text, revision string) (Key, error) {
	var in storedKey
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return Key{}, fmt.Errorf("key: %w: %w", ErrCorrupt, err)
	}
	if in.Hash != hash {
		return Key{}, fmt.Errorf("key %q is stored under the hash of another: %w", in.ID, ErrCorrupt)
	}
	in.Key.Hash, in.Version = in.Hash, 1
	if revision != "" {
		n, err := strconv.ParseInt(revision, 10, 64)
		if err != nil || n < 1 {
			return Key{}, fmt.Errorf("key %q is stored with version %q: %w", in.ID, revision, ErrCorrupt)
		}
		in.Version = n
	}
	return in.Key, nil
}

// Credential finds a key and its consumer by the key's hash, in one round trip; nil, nil
// when there is none.
func (r *Redis) Credential(ctx context.Context, hash string) (found *Credential, err error) {
	if policy.CheckKeyHash(hash) != nil {
		return nil, nil
	}
	defer r.observe("credential", time.Now(), &err)
	reply, err := r.client.HMGet(ctx, hashKey(hash), "key", "consumer", "revision").Result()
	if err != nil {
		return nil, fmt.Errorf("read credential: %w", err)
	}
	text := stringsOf(reply)
	if len(text) != 3 || text[0] == "" { // none, or only reserved
		return nil, nil
	}
	key, err := decodeKey(hash, text[0], text[2])
	if err != nil {
		return nil, err
	}
	var consumer policy.Consumer
	if err := json.Unmarshal([]byte(text[1]), &consumer); err != nil {
		return nil, fmt.Errorf("consumer of key %q: %w: %w", key.ID, ErrCorrupt, err)
	}
	if consumer.ID != key.Consumer {
		return nil, fmt.Errorf("key %q of consumer %q has a copy of %q: %w", key.ID, key.Consumer, consumer.ID, ErrCorrupt)
	}
	return &Credential{key, consumer}, nil
}

// CreateKey stores a new key: ErrExists when its id or hash is taken, ErrNotFound when its
// consumer is not there, or either is deleted meanwhile. After another error the key may
// be there or not.
func (r *Redis) CreateKey(ctx context.Context, k Key) (err error) {
	if err := k.Validate(); err != nil {
		return err
	}
	defer r.observe("create_key", time.Now(), &err)
	ctx, cancel := whole(ctx)
	defer cancel()
	if k.Created.IsZero() {
		k.Created = r.Now()
	}
	k = k.clone()
	text, err := encodeKey(k)
	if err != nil {
		return err
	}
	life := ref{hash: k.Hash, consumer: k.Consumer, nonce: newNonce()}
	if err := r.reserve(ctx, k, life); err != nil {
		return err
	}
	if err := r.fill(ctx, k, life, text); err != nil {
		if errors.Is(err, ErrNotFound) {
			_ = r.endKey(ctx, k.ID, life) // frees the hash; without this it expires
		}
		return fmt.Errorf("create key %q: %w", k.ID, err)
	}
	return nil
}

// reserve takes the hash and the id.
func (r *Redis) reserve(ctx context.Context, k Key, life ref) error {
	free, err := reserveScript.Run(ctx, r.client, []string{hashKey(life.hash)}, life.nonce, claimTime.Milliseconds()).Bool()
	if err != nil {
		return fmt.Errorf("reserve key %q: %w", k.ID, err)
	}
	if !free {
		return hashTaken(k)
	}
	holder, err := r.claim(ctx, keyRefKey(k.ID), life, r.lives)
	if err != nil {
		return fmt.Errorf("claim id of key %q: %w", k.ID, err)
	}
	if holder != nil {
		_ = r.run(ctx, endScript, hashKey(life.hash), life.nonce) // without this it expires
		return fmt.Errorf("key %q: %w", k.ID, ErrExists)
	}
	return nil
}

// lives tells whether a ref leads to a key, usable or reserved. The former hash is looked at
// first, since a key is under the other by the time that it leaves that.
func (r *Redis) lives(ctx context.Context, life ref) (bool, error) {
	for _, hash := range life.hashes() {
		nonce, err := r.client.HGet(ctx, hashKey(hash), "nonce").Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return false, err
		}
		if err == nil && nonce == life.nonce {
			return true, nil
		}
	}
	return false, nil
}

// fill adds the key to its consumer and the list, and makes it usable.
func (r *Redis) fill(ctx context.Context, k Key, life ref, text string) error {
	m := member{k.ID, life.nonce}.String()
	keys := []string{consumerKey(k.Consumer), consumerKeysKey(k.Consumer)}
	consumer, err := joinScript.Run(ctx, r.client, keys, m).StringSlice()
	if errors.Is(err, redis.Nil) {
		return fmt.Errorf("consumer %q: %w", k.Consumer, ErrNotFound)
	}
	if err != nil || len(consumer) != 2 {
		return orCorrupt(err)
	}
	if err := r.client.ZAdd(ctx, keysIndex, redis.Z{Member: m}).Err(); err != nil {
		return err
	}
	filled, err := fillScript.Run(ctx, r.client, []string{hashKey(life.hash)}, life.nonce, text, consumer[0], consumer[1]).Bool()
	if err == nil && !filled {
		err = fmt.Errorf("it or its consumer was deleted meanwhile: %w", ErrNotFound)
	}
	return err
}

// Key finds a key by its id; nil, nil when there is none.
func (r *Redis) Key(ctx context.Context, id string) (k *Key, err error) {
	if policy.CheckID(id) != nil {
		return nil, nil
	}
	defer r.observe("key", time.Now(), &err)
	life, err := r.keyRef(ctx, id)
	if err != nil || life == nil {
		return nil, err
	}
	found, err := r.readKeys(ctx, []namedKey{{id, *life}})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

func (r *Redis) keyRef(ctx context.Context, id string) (*ref, error) {
	text, err := r.client.Get(ctx, keyRefKey(id)).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up key %q: %w", id, err)
	}
	life, err := parseRef(text)
	if err != nil {
		return nil, fmt.Errorf("look up key %q: %w", id, err)
	}
	return &life, nil
}

// RevokeKey deletes a key, and Credential finds it no more: ErrNotFound when there is
// none. After another error it is to be revoked again.
func (r *Redis) RevokeKey(ctx context.Context, id string) (err error) {
	if policy.CheckID(id) != nil {
		return fmt.Errorf("key: %w", ErrNotFound)
	}
	defer r.observe("revoke_key", time.Now(), &err)
	ctx, cancel := whole(ctx)
	defer cancel()
	life, err := r.keyRef(ctx, id)
	if err != nil {
		return err
	}
	if life == nil {
		return fmt.Errorf("key %q: %w", id, ErrNotFound)
	}
	return r.endKey(ctx, id, *life)
}

func (r *Redis) endKey(ctx context.Context, id string, life ref) error {
	return r.endKeys(ctx, life.consumer, []member{{id, life.nonce}})
}

// endKeys ends keys of one consumer: first they cease to be usable, then their traces go.
func (r *Redis) endKeys(ctx context.Context, consumer string, members []member) error {
	for some := range slices.Chunk(members, chunk) {
		ended, err := r.stop(ctx, consumer, some)
		if err != nil {
			return fmt.Errorf("end keys: %w", err)
		}
		_, err = r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, m := range some {
				p.ZRem(ctx, keysIndex, m.String())
				p.SRem(ctx, consumerKeysKey(consumer), m.String())
			}
			for _, key := range ended {
				p.HDel(ctx, consumerUsedKey(consumer), key.id)
				releaseScript.Eval(ctx, p, []string{keyRefKey(key.id)}, key.String())
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("tidy up after keys: %w", err)
		}
	}
	return nil
}

// stop makes keys unusable under every hash that they have, and answers their refs. A key
// may have begun to move after its ref was read: then the ref is another by now, and names
// the hash that it may have gone to. If it is not, whoever moves it finds its hash gone.
func (r *Redis) stop(ctx context.Context, consumer string, members []member) (stopped []namedKey, err error) {
	for range moveAttempts {
		alive, err := r.living(ctx, consumer, members)
		if err != nil || slices.Equal(alive, stopped) {
			return alive, err
		}
		// All of the former ones first: whoever moves a key takes its new hash before it looks
		// at the former one, so that it cannot take it once more and find that still there.
		for _, hash := range []func(namedKey) string{formerOf, hashOf} {
			if err := r.stopUnder(ctx, alive, hash); err != nil {
				return nil, err
			}
		}
		stopped = alive
	}
	return nil, errMoving
}

func formerOf(key namedKey) string { return key.former }
func hashOf(key namedKey) string   { return key.hash }

func (r *Redis) stopUnder(ctx context.Context, keys []namedKey, hash func(namedKey) string) error {
	_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range keys {
			if h := hash(key); h != "" {
				endScript.Eval(ctx, p, []string{hashKey(h)}, key.nonce)
			}
		}
		return nil
	})
	return err
}
