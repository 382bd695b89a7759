package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// endSlack is how much longer than a verification something must stand to be compared: the
// clocks of two servers differ.
const endSlack = 2 // minutes

// verify reads both stores again and compares them.
func (c *copier) verify(ctx context.Context) error {
	var source, destination census
	if err := c.readBoth(ctx, source.addRecord, destination.addRecord); err != nil {
		return err
	}
	ended := time.Now().Unix()/60 + endSlack
	wrong := [kinds][]place{}
	for kind := range kinds {
		wrong[kind] = c.unlike(kind, &source, &destination, ended)
		report := c.of(kind)
		if kind != ofUse {
			report.Source, report.Destination = source.count(kind, ended), destination.count(kind, ended)
		}
		report.Differs = report.Differs || len(wrong[kind]) > 0
	}
	c.report.Verified = !slices.ContainsFunc(c.report.Kinds, func(k KindReport) bool { return k.Differs })
	if c.report.Verified {
		return nil
	}
	return c.explain(ctx, wrong, &source, &destination)
}

// unlike are the places where a destination is not as its source. What requests change may be
// as it was when it was copied.
func (c *copier) unlike(kind kind, source, destination *census, ended int64) (wrong []place) {
	all := maps.Clone(source[kind])
	if all == nil {
		all = map[place]tally{}
	}
	maps.Copy(all, destination[kind])
	for at := range all {
		there := destination[kind][at]
		asCopied := kind.moves() && there == c.read[kind][at]
		if !at.ended(ended) && there != source[kind][at] && !asCopied {
			wrong = append(wrong, at)
		}
	}
	return wrong
}

// readBoth reads both stores at the same time.
func (c *copier) readBoth(ctx context.Context, source, destination func(Record)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var read atomic.Int64
	var turn sync.Mutex // of tell
	c.tell(Progress{Step: StepVerify})
	dump := func(what string, of Dumper, hear func(Record)) error {
		err := of.Dump(ctx, func(r Record) error {
			hear(r)
			if n := read.Add(1); n%1000 == 0 {
				turn.Lock()
				defer turn.Unlock()
				c.tell(Progress{StepVerify, n})
			}
			return nil
		})
		if err != nil {
			stop()
		}
		return inStep(what, err)
	}
	var reading sync.WaitGroup
	var unread, unread2 error
	reading.Go(func() { unread = dump("read the source again", c.from, source) })
	reading.Go(func() { unread2 = dump("read the destination again", c.to, destination) })
	reading.Wait()
	if unread != nil && !errors.Is(unread, context.Canceled) {
		return unread
	}
	return errors.Join(unread2, unread)
}

// mostExplained bounds how many names are held to find a few that are different.
const mostExplained = 50_000

// explain reads both once more, and names some of what is different.
func (c *copier) explain(ctx context.Context, wrong [kinds][]place, source, destination *census) error {
	var looked [kinds]map[place]bool
	for kind, places := range wrong {
		looked[kind] = map[place]bool{}
		for n := int64(0); len(places) > 0 && n < mostExplained; places = places[1:] {
			n += source[kind][places[0]].n + destination[kind][places[0]].n
			looked[kind][places[0]] = true
		}
	}
	type names map[string]digest
	var before, after [kinds]names
	noting := func(to *[kinds]names) func(Record) {
		note := func(f fact) {
			if looked[f.kind][f.place()] {
				if to[f.kind] == nil {
					to[f.kind] = names{}
				}
				to[f.kind][f.name] = f.sum
			}
		}
		return func(r Record) {
			note(factOf(r))
			if use, ok := useOf(r.Key); ok {
				note(use)
			}
		}
	}
	if err := c.readBoth(ctx, noting(&before), noting(&after)); err != nil {
		return err
	}
	for _, uses := range []names{before[ofUse], after[ofUse]} {
		maps.DeleteFunc(uses, func(key string, _ digest) bool { // which is told already
			_, here := before[ofKey][key]
			_, there := after[ofKey][key]
			return here != there
		})
	}
	for kind := range kinds {
		c.of(kind).explain(kind, before[kind], after[kind])
	}
	return nil
}

// explain names some things that two stores say something else of.
func (k *KindReport) explain(kind kind, source, destination map[string]digest) {
	all := maps.Clone(source)
	if all == nil {
		all = map[string]digest{}
	}
	maps.Copy(all, destination)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		here, wanted := source[name]
		there, has := destination[name]
		var what string
		switch {
		case !has:
			what = "is not in the destination"
		case !wanted:
			what = "is in the destination alone"
		case here != there:
			what = "is another in the destination"
		default:
			continue
		}
		if k.Differences = append(k.Differences, fmt.Sprintf("%s %s", fact{kind: kind, name: name}, what)); len(k.Differences) >= examples {
			return
		}
	}
}
