package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// How many records come into Redis at once. Each is written by the steps by which one would be
// made alone, under a nonce of its own (layout.go), a step of all before the next of any. What
// meets another writer is left for another round, and so are records of one batch that are in
// each other's way: each finds there what the other made.

// loadMost bounds a batch, and so a pipeline, whose answers have to come within the time for
// one.
const loadMost = 500

// Load writes records as Loader says. A key whose consumer is not there is ErrNotFound; what
// another makes or deletes at the same time, or has begun to and was cut short a moment ago, is
// ErrConflict, and may be loaded again soon. Other replicas are not told: Announce that everything
// has changed.
func (r *Redis) Load(ctx context.Context, records []Record) (problems []error, err error) {
	defer r.observe("load", time.Now(), &err)
	problems = make([]error, len(records))
	for from := 0; from < len(records); from += loadMost {
		upTo := min(from+loadMost, len(records))
		if err := r.loadBatch(ctx, records[from:upTo], problems[from:upTo]); err != nil {
			return nil, fmt.Errorf("load records: %w", err)
		}
	}
	return problems, nil
}

// loadBatch writes each kind in its turn: keys after their consumers.
func (r *Redis) loadBatch(ctx context.Context, records []Record, problems []error) error {
	var consumers []*consumerLoad
	var keys []*keyLoad
	var revocations []RevokedRecord
	var counters []*counterLoad
	var entries []*auditLoad
	for i, rec := range records {
		problem := &problems[i]
		switch *problem = checkLoad(rec); {
		case *problem != nil:
		case rec.Consumer != nil:
			consumers = append(consumers, newConsumerLoad(*rec.Consumer, problem))
		case rec.Key != nil:
			keys = append(keys, newKeyLoad(*rec.Key, problem))
		case rec.Revoked != nil:
			revocations = append(revocations, *rec.Revoked)
		case rec.Counter != nil:
			counters = append(counters, &counterLoad{*rec.Counter, problem})
		case rec.Audit != nil:
			entries = append(entries, &auditLoad{*rec.Audit, problem})
		}
	}
	if err := rounds(ctx, consumers, r.loadConsumers); err != nil {
		return err
	}
	if err := rounds(ctx, keys, r.loadKeys); err != nil {
		return err
	}
	ctx, cancel := whole(ctx)
	defer cancel()
	if err := r.loadRevocations(ctx, revocations); err != nil {
		return err
	}
	if err := r.loadCounters(ctx, counters); err != nil {
		return err
	}
	return r.loadAudit(ctx, entries)
}

// maxVersion is what the scripts write as a whole number: they count in Lua, which writes
// larger ones with an exponent.
const maxVersion = 99_999_999_999_999

func checkLoad(rec Record) error {
	if err := rec.Validate(); err != nil {
		return err
	}
	if rec.Consumer != nil && rec.Consumer.Version > maxVersion || rec.Key != nil && rec.Key.Version > maxVersion {
		return &InvalidError{[]string{fmt.Sprintf("version: more than %d", int64(maxVersion))}}
	}
	return nil
}

// loadRounds is how often a record is tried that others are in the way of.
const loadRounds = 3

// blocked is what can say that it was not loaded after all.
type blocked interface{ giveUp() }

// rounds loads, and then again what was in the way of others. What has begun goes on when
// whoever asked for it goes away.
func rounds[T blocked](ctx context.Context, all []T, load func(context.Context, []T) ([]T, error)) error {
	ctx, cancel := whole(ctx)
	defer cancel()
	for range loadRounds {
		var err error
		if len(all) == 0 {
			return nil
		}
		if all, err = load(ctx, all); err != nil {
			return err
		}
	}
	for _, one := range all {
		one.giveUp()
	}
	return nil
}

// pipelined asks something about each item, some at a time.
func pipelined[T, C any](ctx context.Context, client redis.UniversalClient, items []T, ask func(redis.Pipeliner, T) C) ([]C, error) {
	answers := make([]C, 0, len(items))
	for some := range slices.Chunk(items, loadMost) {
		cmds, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, item := range some {
				answers = append(answers, ask(p, item))
			}
			return nil
		})
		if err := failureOf(err, cmds); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// failureOf is what went wrong with a pipeline, which tells the first error of its commands
// alone. That there is nothing (redis.Nil) is an answer.
func failureOf[C redis.Cmder](err error, cmds []C) error {
	for _, cmd := range cmds {
		if cmd.Err() != nil && !errors.Is(cmd.Err(), redis.Nil) {
			return cmd.Err()
		}
	}
	return unsent(err)
}

// unsent is the error of a pipeline that is none of its commands'.
func unsent(err error) error {
	var answer redis.Error
	if errors.As(err, &answer) {
		return nil
	}
	return err
}

// call is what a script is run with.
type call struct {
	keys []string
	args []any
}

// runEach runs a script for each item. It is sent whole only to servers that do not know it.
func runEach[T any](ctx context.Context, r *Redis, s *redis.Script, items []T, with func(T) call) ([]*redis.Cmd, error) {
	answers := make([]*redis.Cmd, 0, len(items))
	for some := range slices.Chunk(items, loadMost) {
		calls := make([]call, len(some))
		for i, item := range some {
			calls[i] = with(item)
		}
		few, err := r.runCalls(ctx, s, calls)
		if err != nil {
			return nil, err
		}
		answers = append(answers, few...)
	}
	return answers, nil
}

func (r *Redis) runCalls(ctx context.Context, s *redis.Script, calls []call) ([]*redis.Cmd, error) {
	answers := make([]*redis.Cmd, len(calls))
	_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, c := range calls {
			answers[i] = s.EvalSha(ctx, p, c.keys, c.args...)
		}
		return nil
	})
	if err := unsent(err); err != nil {
		return nil, err
	}
	unknown := func(cmd *redis.Cmd) bool { return redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") }
	if slices.ContainsFunc(answers, unknown) {
		_, err = r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, c := range calls {
				if unknown(answers[i]) {
					answers[i] = s.Eval(ctx, p, c.keys, c.args...)
				}
			}
			return nil
		})
	}
	return answers, failureOf(err, answers)
}

// naming is a name that is to lead to a ref.
type naming struct {
	name   string
	to     ref
	holder *ref // who keeps the name instead

	replaceable string
}

// claimEach makes names lead to refs, as claim does for one.
func (r *Redis) claimEach(ctx context.Context, all []*naming, alive func(context.Context, []ref) ([]bool, error)) error {
	for open := all; len(open) > 0; {
		answers, err := runEach(ctx, r, claimScript, open, func(n *naming) call {
			return call{[]string{n.name}, []any{n.to.String(), n.replaceable}}
		})
		if err != nil {
			return err
		}
		var held []*naming
		var holders []ref
		for i, n := range open {
			text, err := answers[i].Text()
			if errors.Is(err, redis.Nil) {
				continue
			}
			holder, err2 := parseRef(text)
			if err := errors.Join(err, err2); err != nil {
				return err
			}
			n.replaceable = text
			held, holders = append(held, n), append(holders, holder)
		}
		living, err := alive(ctx, holders)
		if err != nil {
			return err
		}
		open = nil
		for i, n := range held {
			if living[i] {
				n.holder = &holders[i]
			} else {
				open = append(open, n)
			}
		}
	}
	return nil
}
