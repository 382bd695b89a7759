package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// importer sends records to the admin API, many in a call and several calls at a time.
type importer struct {
	client *adminClient
	file   string
	tell   func(format string, args ...any) // one line about a record that was refused

	comparing chan struct{} // has room for those that are compared at a time

	mu     sync.Mutex
	busy   map[string]chan struct{} // consumers that are under way, by id, and when their batch is done
	counts importCounts
}

type importCounts struct {
	Imported int `json:"imported"`
	There    int `json:"already_there"` // with the same content
	Refused  int `json:"refused"`
}

func newImporter(client *adminClient, file string, tell func(format string, args ...any)) *importer {
	return &importer{
		client: client, file: file, tell: tell,
		comparing: make(chan struct{}, maxParallel), busy: map[string]chan struct{}{},
	}
}

// How much goes into a call: less than the admin API takes, and than proxies before it do.
const (
	batchLines = 500
	batchBytes = 512 << 10
)

// batch is records that go into one call, in the order of the file.
type batch struct {
	records []record
	size    int               // in bytes
	after   []<-chan struct{} // earlier ones, which have consumers of these
	done    chan struct{}
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

func (b *batch) hasRoomFor(rec record) bool {
	return len(b.records) == 0 || len(b.records) < batchLines && b.size+len(rec.text)+1 <= batchBytes
}

// run sends all. It returns early when the server cannot be reached or does not know the
// token: running it again goes on from there.
func (im *importer) run(ctx context.Context, from records, parallel int) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	batches := make(chan *batch) // without room: they begin in their order, so that none waits for a later one
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for b := range batches {
				if err := im.work(ctx, b); err != nil {
					stop(err)
				}
			}
		})
	}
	err := im.read(ctx, from, batches)
	close(batches)
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (im *importer) read(ctx context.Context, from records, batches chan<- *batch) error {
	b := newBatch()
	begin := func() error { // what was read so far
		if len(b.records) == 0 {
			return nil
		}
		select {
		case batches <- b:
			b = newBatch()
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		rec, err := from.next()
		if errors.Is(err, io.EOF) {
			return begin()
		}
		if err != nil {
			_ = begin() // that it was stopped is known
			return fmt.Errorf("%s: %w", im.file, err)
		}
		if rec.unreadableAs != nil {
			im.settle(rec, false, rec.unreadableAs)
			continue
		}
		if !b.hasRoomFor(rec) {
			if err := begin(); err != nil {
				return err
			}
		}
		im.add(b, rec)
	}
}

// add has the batch wait for the one that has the record's consumer, if that is under way.
// Within a batch, the server sees to it.
func (im *importer) add(b *batch, rec record) {
	im.mu.Lock()
	defer im.mu.Unlock()
	b.records, b.size = append(b.records, rec), b.size+len(rec.text)+1
	if earlier := im.busy[rec.consumer]; earlier != nil && earlier != b.done {
		b.after = append(b.after, earlier)
	}
	if rec.kind == "consumer" {
		im.busy[rec.consumer] = b.done
	}
}

// work sends one batch. Its error ends the import; that records are refused does not.
func (im *importer) work(ctx context.Context, b *batch) error {
	defer im.finish(b)
	for _, earlier := range b.after {
		<-earlier // it ends, whatever becomes of it
	}
	if ctx.Err() != nil {
		return nil
	}
	conflicts, err := im.send(ctx, b.records)
	if err != nil {
		return err
	}
	return im.compareAll(ctx, conflicts)
}

func (im *importer) finish(b *batch) {
	im.mu.Lock()
	defer im.mu.Unlock()
	for _, rec := range b.records {
		if im.busy[rec.consumer] == b.done {
			delete(im.busy, rec.consumer)
		}
	}
	close(b.done)
}

// settle counts a record, and tells why it was refused if it was.
func (im *importer) settle(rec record, there bool, refused error) {
	im.mu.Lock()
	defer im.mu.Unlock()
	switch {
	case refused != nil:
		im.counts.Refused++
		im.tell("%s:%d: %s", im.file, rec.line, plainText(withoutKeys(refused)))
	case there:
		im.counts.There++
	default:
		im.counts.Imported++
	}
}

// at says where in the file an import broke off.
func (im *importer) at(rec record, err error) error {
	return fmt.Errorf("%s:%d: %w", im.file, rec.line, err)
}
