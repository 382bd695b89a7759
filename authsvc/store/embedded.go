package store

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"time"
)

// embedded is a store within this process: all of Memory and File but where they keep it.
type embedded struct {
	values keyValues
	meter  counters
	clock  func() time.Time
	heard  func(op string, took time.Duration, err error) // of every operation that asked
	keep   func() error                                   // writes the counters where they are kept
}

// ask reads in one transaction.
func ask[T any](ctx context.Context, e *embedded, op string, look func(reader) (T, error)) (answer T, err error) {
	defer e.observe(op, time.Now(), &err)
	if ctx.Err() != nil {
		return answer, context.Cause(ctx)
	}
	err = e.values.view(func(tx reader) (err error) {
		answer, err = look(tx)
		return err
	})
	return orNothing(answer, err)
}

// write changes things in one transaction, which goes on when whoever asked for it goes away.
func write[T any](ctx context.Context, e *embedded, op string, work func(writer) (T, error)) (answer T, err error) {
	defer e.observe(op, time.Now(), &err)
	if ctx.Err() != nil {
		return answer, context.Cause(ctx)
	}
	err = e.values.update(func(tx writer) (err error) {
		answer, err = work(tx)
		return err
	})
	return orNothing(answer, err)
}

func orNothing[T any](answer T, err error) (T, error) {
	if err != nil {
		var nothing T
		return nothing, err
	}
	return answer, nil
}

func (e *embedded) observe(op string, start time.Time, err *error) {
	failure := *err
	for _, answer := range []error{ErrNotFound, ErrExists, ErrConflict} {
		if errors.Is(failure, answer) {
			failure = nil
		}
	}
	e.heard(op, time.Since(start), failure)
}

// timeKey orders times as texts. What is below a microsecond is rounded up, so that nothing
// ends too soon.
func timeKey(t time.Time) string { return numberKey(microsUp(t)) }

func microsUp(t time.Time) int64 {
	micros := t.UnixMicro()
	if time.UnixMicro(micros).Before(t) {
		micros++
	}
	return micros
}

// numberKeyLen is that of every text of numberKey.
const numberKeyLen = 8

// numberKey orders numbers as texts.
func numberKey(n int64) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(n)^1<<63)) // negative ones first
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// sweepMost bounds what one write sweeps. It is more than one write adds.
const sweepMost = 100

// sweep takes what has ended by a time out of a bucket, and out of its index by the end.
func sweep(tx writer, in, ends bucket, by time.Time) {
	var ended []string
	for key := range tx.from(ends, "") {
		if key[:numberKeyLen] > numberKey(by.UnixMicro()) || len(ended) == sweepMost {
			break
		}
		ended = append(ended, key)
	}
	for _, key := range ended {
		tx.delete(ends, key)
		tx.delete(in, key[numberKeyLen:])
	}
}
