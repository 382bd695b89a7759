package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// sendAttempts and sendPause bound how often a call is made again that found no store.
const (
	sendAttempts = 5
	sendPause    = 200 * time.Millisecond // and double with each
)

// patiently makes a call until it is answered by more than that there is trouble.
func patiently(ctx context.Context, call func() error) error {
	pause := sendPause
	for attempt := 1; ; attempt++ {
		err := call()
		var refused *refusedError
		if err == nil || errors.As(err, &refused) && refused.status < http.StatusInternalServerError || attempt == sendAttempts {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause *= 2
		}
	}
}

// conflict is a record in whose way something is.
type conflict struct {
	record
	refused error
}

// send settles what becomes of records, but for those that are in conflict with what is there.
func (im *importer) send(ctx context.Context, open []record) (conflicts []conflict, err error) {
	err = patiently(ctx, func() error {
		results, err := im.post(ctx, open)
		if err != nil {
			return err
		}
		var again []record
		for i, r := range results {
			refused := &refusedError{r.Status, r.Detail}
			switch {
			case r.Status == http.StatusCreated:
				im.settle(open[i], false, nil)
			case r.Status == http.StatusConflict:
				conflicts = append(conflicts, conflict{open[i], refused})
			case r.Status >= http.StatusInternalServerError:
				again, err = append(again, open[i]), refused
			default:
				im.settle(open[i], false, refused)
			}
		}
		open = again
		return err
	})
	if err != nil {
		err = im.at(open[0], err)
	}
	return conflicts, err
}

// lineResult is what the admin API answers about a line.
type lineResult struct {
	Line   int    `json:"line"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// post sends lines as they stand in the file.
func (im *importer) post(ctx context.Context, lines []record) ([]lineResult, error) {
	var body bytes.Buffer
	for _, rec := range lines {
		body.Write(rec.text)
		body.WriteByte('\n')
	}
	var out struct{ Results []lineResult }
	err := im.client.send(ctx, http.MethodPost, "/v1/import", "application/x-ndjson", body.Bytes(), &out)
	var refused *refusedError
	if errors.As(err, &refused) && refused.status == http.StatusNotFound {
		return nil, &refusedError{refused.status, "the server is older than this stile and has no POST /v1/import; upgrade it, or import with a stile of its version"}
	}
	if err != nil {
		return nil, err
	}
	known := len(out.Results) == len(lines)
	for i, r := range out.Results {
		known = known && r.Line == i+1
	}
	if !known {
		return nil, &refusedError{http.StatusOK, fmt.Sprintf("%s does not answer like stile's admin API: %d results for %d lines", im.client.base, len(out.Results), len(lines))}
	}
	return out.Results, nil
}
