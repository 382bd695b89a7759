package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Copy waits in all for so long for a destination that does not answer, and for others to
// end what they do to the records that come. A writer who was cut short, an earlier Copy say,
// is in the way for writeTime.
const (
	copyPatience   = 2 * writeTime
	firstCopyPause = 50 * time.Millisecond
	lastCopyPause  = time.Second
)

// write loads records of one kind, and counts what became of them.
func (c *copier) write(ctx context.Context, records []Record) error {
	records = slices.DeleteFunc(records, c.strange)
	for pause := firstCopyPause; len(records) > 0; pause = min(2*pause, lastCopyPause) {
		problems, err := c.to.Load(ctx, records)
		if err == nil {
			if records = c.count(records, problems, c.patience > 0); len(records) == 0 {
				break
			}
		} else if ctx.Err() != nil || c.patience <= 0 || !passes(err) {
			return err
		}
		c.patience -= pause
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
	return nil
}

// passes tells whether a store's trouble may be over soon without anybody's doing: its server is
// away, or another is about to take its place.
func passes(err error) bool {
	var answer redis.Error
	var system syscall.Errno
	switch {
	case errors.As(err, &answer):
		return slices.ContainsFunc([]string{"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY"}, func(prefix string) bool {
			return redis.HasErrorPrefix(answer, prefix)
		})
	case errors.As(err, &system):
		return system.Temporary() || system == syscall.ECONNREFUSED || system == syscall.EPIPE
	}
	return !errors.Is(err, ErrCorrupt)
}

// strange is for a key whose consumer was refused: it would come to another of that name.
func (c *copier) strange(r Record) bool {
	if r.Key == nil {
		return false
	}
	_, refused := c.refused[r.Key.Consumer]
	switch {
	case !refused:
	case c.isThere(factOf(r)):
		c.of(ofKey).There++
	default:
		c.refuse(r, fmt.Errorf("consumer %q was refused", r.Key.Consumer))
	}
	return refused
}

// isThere tells whether the destination had something just so before.
func (c *copier) isThere(f fact) bool {
	_, there := slices.BinarySearch(c.there[f.kind], f.sum.short())
	return there
}

func (c *copier) refuse(r Record, problem error) {
	f := factOf(r)
	to := c.of(f.kind)
	to.Refused++
	if len(to.Refusals) < examples {
		text := problem.Error()
		if !strings.Contains(text, strconv.Quote(f.name)) {
			text = f.String() + ": " + text
		}
		to.Refusals = append(to.Refusals, text)
	}
	if r.Consumer != nil {
		c.refused[r.Consumer.ID] = struct{}{}
	}
}

// count answers the records that are to be tried again, if any may.
func (c *copier) count(records []Record, problems []error, mayTry bool) (again []Record) {
	for i, r := range records {
		f, problem := factOf(r), problems[i]
		to := c.of(f.kind)
		switch {
		case problem == nil:
			if c.isThere(f) {
				to.There++
			} else {
				to.Copied++
			}
		case mayTry && errors.Is(problem, ErrConflict) && f.kind <= ofKey:
			again = append(again, r)
		default:
			c.refuse(r, problem)
		}
	}
	return again
}
