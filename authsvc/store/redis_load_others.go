package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// loadRevocations writes revocations as Revoke does. Those that have ended are left out.
func (r *Redis) loadRevocations(ctx context.Context, all []RevokedRecord) error {
	now := r.Now()
	all = slices.DeleteFunc(all, func(rec RevokedRecord) bool { return rec.Until.Sub(now) < time.Millisecond })
	if len(all) == 0 {
		return nil
	}
	marks, list := make([]mark, len(all)), make([]redis.Z, len(all))
	for i, rec := range all {
		marks[i], _ = parseMark(rec.ID) // it is valid
		list[i] = redis.Z{Score: float64(millisUp(rec.Until)), Member: marks[i].String()}
	}
	if err := r.client.ZAddGT(ctx, revokedIndex, list...).Err(); err != nil {
		return fmt.Errorf("list revocations: %w", err)
	}
	type revocation struct {
		mark
		left time.Duration
	}
	each := make([]revocation, len(all))
	for i, m := range marks {
		each[i] = revocation{m, time.UnixMilli(millisUp(all[i].Until)).Sub(now)}
	}
	_, err := runEach(ctx, r, revokeScript, each, func(v revocation) call {
		value := revokedText
		if v.before != always {
			value = strconv.FormatInt(v.before, 10)
		}
		return call{[]string{revokedKey(v.name)}, []any{value, v.left.Milliseconds()}}
	})
	return err
}

// millisUp rounds up: nothing ends too soon.
func millisUp(t time.Time) int64 {
	millis := t.UnixMilli()
	if time.UnixMilli(millis).Before(t) {
		millis++
	}
	return millis
}

// counterLoad is a counter that comes.
type counterLoad struct {
	CounterRecord
	problem *error
}

// loadCounters writes counters that have not expired: ErrExists where one stands higher.
func (r *Redis) loadCounters(ctx context.Context, all []*counterLoad) error {
	now := r.Now()
	all = slices.DeleteFunc(all, func(c *counterLoad) bool { return !now.Before(c.Expires) })
	answers, err := runEach(ctx, r, loadCounterScript, all, func(c *counterLoad) call {
		return call{[]string{c.Name}, []any{c.Value, counterExpiry(c.CounterRecord)}}
	})
	if err != nil {
		return fmt.Errorf("counters: %w", err)
	}
	for i, c := range all {
		if !errors.Is(answers[i].Err(), redis.Nil) {
			*c.problem = fmt.Errorf("counter %q stands at %v: %w", c.Name, answers[i].Val(), ErrExists)
		}
	}
	return nil
}

// counterExpiry is when Redis may forget a counter, in unix time: that of a rate as late as
// readTaken wants it.
func counterExpiry(c CounterRecord) int64 {
	if rate, _ := isRate(c.Name); rate {
		return (c.Value/64_000_000 + 2) * 64
	}
	return (millisUp(c.Expires) + 999) / 1000
}

// auditLoad is an entry of the audit that comes.
type auditLoad struct {
	AuditEntry
	problem *error
}

// loadAudit appends entries. They are in one slot, and so are written in their order.
func (r *Redis) loadAudit(ctx context.Context, all []*auditLoad) error {
	answers, err := pipelined(ctx, r.client, all, func(p redis.Pipeliner, e *auditLoad) *redis.Cmd {
		return appendScript.Eval(ctx, p, []string{auditKey, auditHeadKey}, appendArgs(AuditHead{e.Seq - 1, e.Prev}, e.AuditEntry)...)
	})
	if err != nil {
		return fmt.Errorf("append to the audit: %w", err)
	}
	var rest []*auditLoad
	for i, e := range all {
		if !errors.Is(answers[i].Err(), redis.Nil) {
			rest = append(rest, e)
		}
	}
	there, err := pipelined(ctx, r.client, rest, func(p redis.Pipeliner, e *auditLoad) *redis.XMessageSliceCmd {
		return p.XRange(ctx, auditKey, streamID(e.Seq), streamID(e.Seq))
	})
	if err != nil {
		return fmt.Errorf("read the audit: %w", err)
	}
	for i, e := range rest {
		if found := there[i].Val(); len(found) == 0 {
			*e.problem = fmt.Errorf("entry %d of the audit does not follow the last one: %w", e.Seq, ErrConflict)
		} else if auditEntryOf(found[0].Values) != e.AuditEntry {
			*e.problem = fmt.Errorf("another entry %d of the audit is there: %w", e.Seq, ErrConflict)
		}
	}
	return nil
}
