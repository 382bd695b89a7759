package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// Step is what a Copy is doing.
type Step string

// The steps of a Copy, in their order.
const (
	StepLook   Step = "look"   // reads what the destination has
	StepCopy   Step = "copy"   // reads the source, and writes
	StepVerify Step = "verify" // reads both
)

// Progress says how far a Copy is.
type Progress struct {
	Step    Step
	Records int64 // that were read in this step
}

// Report is what a Copy has done, and found, with each kind of record in its turn.
type Report struct {
	Kinds    []KindReport `json:"kinds"`
	Verified bool         `json:"verified"` // both were read again in the end, and are alike
}

// KindReport is what became of the records of one kind. Its texts name ids and no secrets.
type KindReport struct {
	Kind     string   `json:"kind"`
	Copied   int64    `json:"copied"`
	There    int64    `json:"already_there"` // just so
	Refused  int64    `json:"refused"`
	Refusals []string `json:"refusals,omitempty"` // why, the first few

	// What the verification found. What has expired meanwhile is left out.
	Source      int64    `json:"source"`
	Destination int64    `json:"destination"`
	Differs     bool     `json:"differs"`
	Differences []string `json:"differences,omitempty"` // a few
}

// Refused is how many records were refused.
func (r Report) Refused() (n int64) {
	for _, k := range r.Kinds {
		n += k.Refused
	}
	return n
}

// examples is how many reasons and differences a report holds of each kind.
const examples = 10

// loadAtOnce is how many records a Copy holds at a time, and as many again that it has read.
const loadAtOnce = 2000

// Copy writes all that one store holds to another, and then reads both again and compares
// them. Nothing that is there is overwritten: what is just so is well, what is not is refused.
// Only counters and last uses move forward, and may do so in the source meanwhile; whatever
// else changes there is found as a difference, and so is what the destination has besides.
//
// With an error it has broken off, and the report says how far it came. It can be run again.
func Copy(ctx context.Context, from Dumper, to interface {
	Dumper
	Loader
}, tell func(Progress),
) (Report, error) {
	c := &copier{from: from, to: to, tell: tell, patience: copyPatience, refused: map[string]struct{}{}}
	for kind := range kinds {
		if kind != ofUse {
			c.report.Kinds = append(c.report.Kinds, KindReport{Kind: kind.String()})
		}
	}
	for _, step := range []func(context.Context) error{c.look, c.copy, c.verify} {
		if err := step(ctx); err != nil {
			return c.report, err
		}
	}
	return c.report, nil
}

type copier struct {
	from Dumper
	to   interface {
		Dumper
		Loader
	}
	tell     func(Progress)
	patience time.Duration

	there   [kinds][]uint64     // digests of what the destination had
	read    census              // of what was read to be copied
	refused map[string]struct{} // consumers
	report  Report
}

// of is the report on a kind.
func (c *copier) of(kind kind) *KindReport {
	if kind >= ofUse { // which is reported with the keys
		kind--
	}
	return &c.report.Kinds[kind]
}

// counting tells now and then how many records were read.
func (c *copier) counting(step Step, hear func(Record) error) func(Record) error {
	read := int64(0)
	c.tell(Progress{Step: step})
	return func(r Record) error {
		if read++; read%1000 == 0 {
			c.tell(Progress{step, read})
		}
		return hear(r)
	}
}

// look notes what the destination has.
func (c *copier) look(ctx context.Context) error {
	err := c.to.Dump(ctx, c.counting(StepLook, func(r Record) error {
		f := factOf(r)
		c.there[f.kind] = append(c.there[f.kind], f.sum.short())
		return nil
	}))
	for _, sums := range c.there {
		slices.Sort(sums)
	}
	return inStep("read the destination", err)
}

func inStep(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// copy reads ahead while it writes.
func (c *copier) copy(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	chunks := make(chan []Record)
	var reading sync.WaitGroup
	var unread error
	reading.Go(func() {
		defer close(chunks)
		unread = c.readAll(ctx, chunks)
	})
	var unwritten error
	for chunk := range chunks {
		if unwritten != nil {
			continue
		}
		if unwritten = c.write(ctx, chunk); unwritten != nil {
			stop()
		}
	}
	reading.Wait()
	c.announce(ctx)
	if unwritten != nil {
		return inStep("write to the destination", unwritten)
	}
	return inStep("read the source", unread)
}

// readAll sends what it reads, each kind by itself.
func (c *copier) readAll(ctx context.Context, chunks chan<- []Record) error {
	var chunk []Record
	send := func() error {
		select {
		case chunks <- chunk:
			chunk = nil
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	err := c.from.Dump(ctx, c.counting(StepCopy, func(r Record) error {
		if len(chunk) == loadAtOnce || len(chunk) > 0 && chunk[0].kind() != r.kind() {
			if err := send(); err != nil {
				return err
			}
		}
		c.read.addRecord(r)
		chunk = append(chunk, r)
		return nil
	}))
	if err == nil && len(chunk) > 0 {
		err = send()
	}
	return err
}

// announce tells replicas that live by the destination already. They hear of it late, when
// this fails.
func (c *copier) announce(ctx context.Context) {
	to, ok := c.to.(Announcer)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceTime)
	defer cancel()
	for _, k := range c.report.Kinds {
		if k.Copied > 0 {
			_, _ = to.Announce(ctx, Change{Kind: EverythingChanged})
			return
		}
	}
}

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
