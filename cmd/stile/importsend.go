package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// importer sends records to the admin API, several at a time.
type importer struct {
	client *adminClient
	file   string
	tell   func(format string, args ...any) // one line about a record that was refused

	mu     sync.Mutex
	busy   map[string]chan struct{} // consumers that are under way, by id
	counts importCounts
}

type importCounts struct {
	Imported int `json:"imported"`
	There    int `json:"already_there"` // with the same content
	Refused  int `json:"refused"`
}

// task is a record that waits until what it builds on is there.
type task struct {
	record
	after <-chan struct{} // nil for nothing
	done  chan struct{}   // nil when nobody waits for it
}

// run sends all. It returns early when the server cannot be reached or does not know the
// token: running it again goes on from there.
func (im *importer) run(ctx context.Context, from records, parallel int) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	tasks := make(chan task) // without room: tasks begin in their order, so that none waits for a later one
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for t := range tasks {
				if err := im.work(ctx, t); err != nil {
					stop(fmt.Errorf("%s:%d: %w", im.file, t.line, err))
				}
			}
		})
	}
	err := im.read(ctx, from, tasks)
	close(tasks)
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (im *importer) read(ctx context.Context, from records, tasks chan<- task) error {
	for {
		rec, err := from.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", im.file, err)
		}
		select {
		case tasks <- im.task(rec):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// task has a key wait for its consumer, if that is under way.
func (im *importer) task(rec record) task {
	im.mu.Lock()
	defer im.mu.Unlock()
	t := task{record: rec, after: im.busy[rec.consumer]}
	if rec.kind == "consumer" && rec.unreadableAs == nil {
		t.done = make(chan struct{})
		im.busy[rec.consumer] = t.done
	}
	return t
}

// work sends one record. Its error ends the import; that a record is refused does not.
func (im *importer) work(ctx context.Context, t task) error {
	defer im.finish(t)
	if t.after != nil {
		<-t.after // it ends, whatever becomes of it
	}
	if ctx.Err() != nil {
		return nil
	}
	there, err := false, t.unreadableAs
	if err == nil {
		there, err = im.send(ctx, t.record)
		var refused *refusedError
		if err != nil && (!errors.As(err, &refused) || refused.status == http.StatusUnauthorized || refused.status >= http.StatusInternalServerError) {
			return err
		}
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	switch {
	case err != nil:
		im.counts.Refused++
		im.tell("%s:%d: %s", im.file, t.line, plainText(withoutKeys(err)))
	case there:
		im.counts.There++
	default:
		im.counts.Imported++
	}
	return nil
}

func (im *importer) finish(t task) {
	if t.done == nil {
		return
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.busy[t.consumer] == t.done {
		delete(im.busy, t.consumer)
	}
	close(t.done)
}

// sendAttempts and sendPause bound how often a call is made again that found no store.
const (
	sendAttempts = 5
	sendPause    = 200 * time.Millisecond // and double with each
)

// send answers whether the record was there already, with the same content.
func (im *importer) send(ctx context.Context, rec record) (there bool, err error) {
	pause := sendPause
	for attempt := 1; ; attempt++ {
		err = im.client.call(ctx, http.MethodPost, "/v1/"+rec.kind+"s", json.RawMessage(rec.body), nil)
		var refused *refusedError
		switch answered := errors.As(err, &refused); {
		case err == nil || answered && refused.status < http.StatusInternalServerError && refused.status != http.StatusConflict:
			return false, err
		case answered && refused.status == http.StatusConflict:
			return im.compare(ctx, rec, err)
		case attempt == sendAttempts:
			return false, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(pause):
			pause *= 2
		}
	}
}

// compare looks whether what is in the way is the record itself, of a run before. A key
// without an id is known by its hash alone, which is shown nowhere, and that is the same.
func (im *importer) compare(ctx context.Context, rec record, conflict error) (there bool, err error) {
	if rec.id == "" {
		return true, nil
	}
	var shown, sent map[string]any
	err = im.client.call(ctx, http.MethodGet, "/v1/"+rec.kind+"s/"+url.PathEscape(rec.id), nil, &shown)
	var refused *refusedError
	if errors.As(err, &refused) && refused.status == http.StatusNotFound {
		return false, conflict // what is taken is its custom id, or its hash
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(rec.body, &sent); err != nil {
		return false, err
	}
	if name := difference(sent, shown); name != "" {
		return false, &refusedError{http.StatusConflict, fmt.Sprintf("%s %q is there with another %s", rec.kind, rec.id, name)}
	}
	return true, nil
}
