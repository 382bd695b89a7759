package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// How a key moves from one hash to another, which lie in two slots:
//
//  1. The new hash is taken: reserved under the key's nonce and marked with the mover's own.
//     The reservation expires by itself.
//  2. The ref names both hashes. From here on, whoever follows it ends, reads and tells
//     of its consumer's changes under both.
//  3. The consumer is read. What changes it from here on tells both.
//  4. The former hash is closed: it stays usable, but what it holds of the key does not
//     change any more.
//  5. That is filled in under the new hash, if the mover's mark is still there.
//  6. The former hash goes.
//  7. The ref names the new hash alone.
//
// So a key that is good is at every moment under one of its hashes, and while it is under
// both, they hold the same. What was revoked does not come back: who ends a key makes the
// former hash go first, then the new one. A mover that closed the former hash before has
// taken the new one before that, so that its mark goes with it; one that takes the new hash
// after that cannot close the former one. That is why a mark is of one mover: whoever takes
// over what another began puts its own there, and the other cannot fill anything in.
//
// An update of the key ends the move first (settled), so that nothing old is usable when it
// is done. A mover that is cut short leaves a reservation that expires, or a ref that names
// two hashes, which everybody understands, and the next use or update ends the move.
//
// A key only moves to a pepper of a higher version. So no hash comes back within the life
// of a nonce, and a mover that is late finds nothing that it could mistake for its own.
// (It also keeps replicas whose configurations differ, while a new pepper is rolled out,
// from moving keys to and fro.)

// moveAttempts bounds how often an operation looks again for a key that moves under it.
const moveAttempts = 10

// errMoving: another process moves or ends the key at this moment.
var errMoving = fmt.Errorf("the key was moved or ended by another at the same time: %w", ErrConflict)

// RehashKey makes a key that is stored under one hash be stored under another, of a pepper
// of a higher version, and no more under the first: ErrNotFound when there is none under the
// first, ErrExists when the other is taken by another key, ErrConflict when another process
// was faster. All else stays as it is, its version among it. After any error it is to be
// called again, and there is no harm in that after none.
//
// It is not announced to other replicas: they remember a key by what was presented, and what
// that proves is the same as before.
func (r *Redis) RehashKey(ctx context.Context, id, from, to string) (err error) {
	if err := checkRehash(id, from, to); err != nil {
		return err
	}
	defer r.observe("rehash_key", time.Now(), &err)
	ctx, cancel := whole(ctx)
	defer cancel()
	var before ref
	for range moveAttempts {
		life, err := r.settled(ctx, id)
		switch {
		case err != nil:
			return err
		case life == nil || *life == before: // it is not that the key has moved
			return keyMissing(id)
		case life.hash == to:
			return nil
		case life.hash != from:
			return notUnder(id)
		}
		err = r.beginMove(ctx, id, *life, to)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errMoving) {
			return fmt.Errorf("move key %q to another hash: %w", id, err)
		}
		before = *life
	}
	return fmt.Errorf("key %q: %w", id, errMoving)
}

// settled is the ref of a key, nil when there is none. A move that was begun is ended first.
func (r *Redis) settled(ctx context.Context, id string) (*ref, error) {
	for range moveAttempts {
		life, err := r.keyRef(ctx, id)
		if err != nil || life == nil || !life.moving() {
			return life, err
		}
		mark, err := r.take(ctx, *life)
		if err == nil && mark == "" {
			err = r.endMove(ctx, id, *life)
		} else if err == nil {
			err = r.carry(ctx, id, *life, mark)
		}
		if err != nil && !errors.Is(err, errMoving) {
			return nil, fmt.Errorf("end the move of key %q to another hash: %w", id, err)
		}
	}
	return nil, fmt.Errorf("key %q: %w", id, errMoving)
}

// beginMove makes the ref name both hashes, and goes on from there. It is errMoving when the
// ref is not what it was, or the key has not been filled in yet.
func (r *Redis) beginMove(ctx context.Context, id string, life ref, to string) error {
	usable, err := r.usable(ctx, life.hash, life.nonce)
	if err != nil || !usable { // perhaps not yet, and whoever makes it relies on its ref
		return orMoving(err)
	}
	both := ref{hash: to, consumer: life.consumer, nonce: life.nonce, former: life.hash}
	mark, err := r.take(ctx, both)
	if err != nil || mark == "" {
		return orMoving(err)
	}
	begun, err := swapScript.Run(ctx, r.client, []string{keyRefKey(id)}, life.String(), both.String()).Bool()
	if err != nil {
		return err
	}
	if !begun {
		_ = r.run(ctx, untakeScript, hashKey(to), life.nonce, mark) // without this it expires
		return errMoving
	}
	return r.carry(ctx, id, both, mark)
}

func orMoving(err error) error {
	if err == nil {
		return errMoving
	}
	return err
}

func (r *Redis) usable(ctx context.Context, hash, nonce string) (bool, error) {
	reply, err := r.client.HMGet(ctx, hashKey(hash), "nonce", "key").Result()
	if err != nil {
		return false, err
	}
	text := stringsOf(reply)
	return len(text) == 2 && text[0] == nonce && text[1] != "", nil
}

// take reserves the new hash, and answers the mark by which it is this mover's, or "" when
// the key is under it already.
func (r *Redis) take(ctx context.Context, life ref) (mark string, err error) {
	args := []any{life.nonce, newNonce(), claimTime.Milliseconds()}
	reply, err := takeScript.Run(ctx, r.client, []string{hashKey(life.hash)}, args...).StringSlice()
	switch {
	case err != nil || len(reply) != 2:
		return "", orCorrupt(err)
	case reply[0] == "taken":
		return "", errHashTaken
	}
	return reply[1], nil
}

// carry is steps 3 to 7, for a mover whose mark is at the new hash.
func (r *Redis) carry(ctx context.Context, id string, life ref, mark string) error {
	reply, err := r.client.HMGet(ctx, consumerKey(life.consumer), "state", "json", "version").Result()
	if err != nil {
		return err
	}
	consumer := stringsOf(reply)
	if len(consumer) != 3 || consumer[0] != "live" { // whoever deletes it ends its keys
		_ = r.run(ctx, untakeScript, hashKey(life.hash), life.nonce, mark)
		return fmt.Errorf("consumer %q: %w", life.consumer, ErrNotFound)
	}
	held, err := closeScript.Run(ctx, r.client, []string{hashKey(life.former)}, life.nonce, life.hash).StringSlice()
	if errors.Is(err, redis.Nil) {
		return r.giveUp(ctx, id, life, mark)
	}
	if err != nil || len(held) != 3 {
		return orCorrupt(err)
	}
	text, err := rehashed(held[0], life)
	if err != nil {
		return err
	}
	filled, err := moveInScript.Run(ctx, r.client, []string{hashKey(life.hash)},
		life.nonce, mark, text, consumer[1], consumer[2], held[1], held[2]).Bool()
	if err != nil || !filled {
		return orMoving(err)
	}
	return r.endMove(ctx, id, life)
}

// giveUp is for a key that is not under its former hash any more: it was ended, or another
// mover has taken over and come to the end. Only if our mark still stands it was the first,
// and the ref leads nowhere.
func (r *Redis) giveUp(ctx context.Context, id string, life ref, mark string) error {
	ours, err := untakeScript.Run(ctx, r.client, []string{hashKey(life.hash)}, life.nonce, mark).Bool()
	if err == nil && ours {
		err = r.run(ctx, releaseScript, keyRefKey(id), life.String())
	}
	return orMoving(err)
}

// endMove is for a key that is usable under its new hash.
func (r *Redis) endMove(ctx context.Context, id string, life ref) error {
	if err := r.run(ctx, leaveScript, hashKey(life.former), life.nonce, life.hash); err != nil {
		return err
	}
	now := life
	now.former = ""
	return swapScript.Run(ctx, r.client, []string{keyRefKey(id)}, life.String(), now.String()).Err()
}

// rehashed is the JSON of a key with its new hash. Fields that this version does not know
// move along.
func rehashed(text string, life ref) (string, error) {
	if _, err := decodeKey(life.former, text, ""); err != nil {
		return "", err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		return "", fmt.Errorf("key: %w: %w", ErrCorrupt, err)
	}
	hash, err := json.Marshal(life.hash)
	if err != nil {
		return "", fmt.Errorf("encode hash: %w", err)
	}
	fields["hash"] = hash
	moved, err := json.Marshal(fields)
	if err != nil {
		return "", fmt.Errorf("encode key: %w", err)
	}
	return string(moved), nil
}
