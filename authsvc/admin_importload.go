package authsvc

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
)

// imports is what all imports of one process share. They are loaded one after the other:
// more at a time would not be faster, and requests ask the same store.
type imports struct {
	mu   sync.Mutex
	last time.Time // the date of the last record
}

// load writes lines, and tells of each what became of it. Where one would be in the way of
// another, as two of the same id, or would not be found by it, the later ones are written in
// another turn: it comes out as if each were written alone.
func (a *Admin) load(ctx context.Context, lines []*importLine) error {
	a.imports.mu.Lock()
	defer a.imports.mu.Unlock()
	defer a.Local.ForgetNegative()
	for len(lines) > 0 {
		n := independent(lines)
		if err := a.loadTurn(ctx, lines[:n]); err != nil {
			return err
		}
		lines = lines[n:]
	}
	return nil
}

func (a *Admin) loadTurn(ctx context.Context, lines []*importLine) error {
	records := make([]store.Record, len(lines))
	for i, line := range lines {
		a.imports.date(line.record, a.Now())
		records[i] = line.record
	}
	problems, err := a.Records.Load(ctx, records)
	if errors.Is(err, store.ErrUnannounced) {
		// Others may take it for unknown for some seconds yet; it is there all the same.
		a.Log.WarnContext(ctx, "an import could not be announced", "records", len(records), "error", err)
		err = nil
	}
	for i, problem := range problems {
		lines[i].err = problem
	}
	return err
}

// date says when a new record was made, of no two the same: a store takes what is there just
// so for what it is to write, and here that is a conflict.
func (s *imports) date(r store.Record, now time.Time) {
	now = now.UTC().Truncate(time.Microsecond)
	if !now.After(s.last) {
		now = s.last.Add(time.Microsecond)
	}
	s.last = now
	if r.Consumer != nil {
		r.Consumer.Created, r.Consumer.Updated = now, now
	} else {
		r.Key.Created = now
	}
}

// independent tells how many of the first lines can be written at once: all of nearly every
// file.
func independent(lines []*importLine) int {
	seen := names{}
	for i, line := range lines {
		if !seen.add(line.record) {
			return i
		}
	}
	return len(lines)
}

// name is something that only one record can have, or that a key needs.
type name struct{ of, text string }

type names map[name]bool

// add takes up a record that is independent of those before it.
func (n names) add(r store.Record) bool {
	var own []name
	switch c, k := r.Consumer, r.Key; {
	case c != nil && n[name{"owner", c.ID}]: // a key before its consumer
		return false
	case c != nil:
		own = append(own, name{"consumer", c.ID})
		if c.CustomID != "" {
			own = append(own, name{"custom id", c.CustomID})
		}
	default:
		own = append(own, name{"key", k.ID}, name{"hash", k.Hash})
	}
	for _, name := range own {
		if n[name] {
			return false
		}
		n[name] = true
	}
	if r.Key != nil {
		n[name{"owner", r.Key.Consumer}] = true
	}
	return true
}
