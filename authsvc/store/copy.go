package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
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
