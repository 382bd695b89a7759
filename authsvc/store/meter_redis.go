package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stile-gate/stile/policy"
)

// Spend spends charges as policy.Meter says, exactly, whatever the limits' modes: however
// many processes spend at the same time, no counter gives more than its limit. A request
// whose answer was lost may have been charged for. The error is ErrCorrupt where a stored
// value is no number.
func (r *Redis) Spend(ctx context.Context, charges []policy.Charge) (balances []policy.Balance, err error) {
	defer r.observe("spend", time.Now(), &err)
	return inSlots(charges, func(slot []policy.Charge) ([]policy.Balance, error) {
		return r.askSlot(ctx, spendScript, slot)
	})
}

// Peek answers what Spend would, and spends nothing.
func (r *Redis) Peek(ctx context.Context, charges []policy.Charge) (balances []policy.Balance, err error) {
	defer r.observe("peek", time.Now(), &err)
	return inSlots(charges, func(slot []policy.Charge) ([]policy.Balance, error) {
		return r.askSlot(ctx, peekScript, slot)
	})
}

// askSlot asks about the charges of one slot, in one round trip; in a second one where the
// server's clock is in another period than ours, which is then remembered.
func (r *Redis) askSlot(ctx context.Context, script *script, charges []policy.Charge) ([]policy.Balance, error) {
	for range 3 {
		draws, of := drawsOf(charges, r.meterClock.now(r.Now()))
		keys, args := scriptOf(draws)
		answer, err := r.runOnce(ctx, script, keys, args)
		if err != nil {
			return nil, meterError(err)
		}
		now, err := r.readAnswer(answer, len(draws), keys)
		if errors.Is(err, errOtherPeriod) {
			continue
		}
		if err != nil {
			return nil, err
		}
		balances := make([]policy.Balance, len(charges))
		for i, d := range of {
			balances[i] = draws[d].balance(answer[2+d], now, answer[0] == 1)
		}
		return balances, nil
	}
	return nil, errOtherPeriod
}

var errOtherPeriod = errors.New("the server's clock is in another period than ours")

// readAnswer is the server's time and what is wrong with an answer.
func (r *Redis) readAnswer(answer []int64, draws int, keys []string) (time.Time, error) {
	switch {
	case len(answer) == 2 && answer[0] == -1:
		r.meterClock.set(time.UnixMicro(answer[1]), r.Now())
		return time.Time{}, errOtherPeriod
	case len(answer) == 2 && answer[0] == -2 && 0 < answer[1] && answer[1] <= int64(len(keys)):
		return time.Time{}, fmt.Errorf("counter %s: %w", keys[answer[1]-1], ErrCorrupt)
	case len(answer) != 2+draws:
		return time.Time{}, fmt.Errorf("%d numbers for %d counters: %w", len(answer), draws, ErrCorrupt)
	}
	return time.UnixMicro(answer[1]), nil
}

func meterError(err error) error {
	if redis.HasErrorPrefix(err, "WRONGTYPE") || redis.HasErrorPrefix(err, "value is not an integer") {
		return fmt.Errorf("counter: %w: %w", ErrCorrupt, err)
	}
	return fmt.Errorf("spend in redis: %w", err)
}

// scriptOf is the input of readTaken.
func scriptOf(draws []draw) (keys []string, args []any) {
	keys, args = make([]string, len(draws)), make([]any, 2, 2+3*len(draws))
	since, until := int64(0), int64(math.MaxInt64)
	for i := range draws {
		d := &draws[i]
		keys[i] = d.key
		expiry := int64(0)
		if d.isQuota() {
			since, until = max(since, d.start.UnixMicro()), min(until, d.end.UnixMicro())
			expiry = d.end.Add(quotaGrace).Unix()
		}
		args = append(args, d.step(), d.room, expiry)
	}
	args[0], args[1] = since, until
	return keys, args
}

// runOnce sends a script once, and again only where the server did not know it: then with
// its text, since to load it, every node of a cluster would have to be there.
func (r *Redis) runOnce(ctx context.Context, s *script, keys []string, args []any) ([]int64, error) {
	c := newOnce("evalsha", s.Hash(), keys, args)
	err := r.client.Process(ctx, c)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		c = newOnce("eval", s.text, keys, args)
		err = r.client.Process(ctx, c)
	}
	return c.Val(), err
}

// script is one whose text is known, too.
type script struct {
	*redis.Script
	text string
}

func newScript(text string) *script { return &script{redis.NewScript(text), text} }

// onceCmd is a script that the client sends once, and that answers numbers. The client would
// send what it got no answer to again, and charge twice; an error is the better answer,
// since the limit says what it means.
type onceCmd struct{ *redis.IntSliceCmd }

func (onceCmd) NoRetry() bool { return true }

func newOnce(command, script string, keys []string, args []any) onceCmd {
	all := make([]any, 3, 3+len(keys)+len(args))
	all[0], all[1], all[2] = command, script, len(keys)
	for _, key := range keys {
		all = append(all, key)
	}
	c := onceCmd{redis.NewIntSliceCmd(context.Background(), append(all, args...)...)}
	c.SetFirstKeyPos(3)
	return c
}
