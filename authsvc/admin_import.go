package authsvc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/stile-gate/stile/authsvc/store"
)

// How much one import takes. A line is bounded as the body of a single call is.
const (
	maxImport      = 4 << 20
	maxImportLines = 1000
)

// importInput is consumers and keys, a JSON object a line: the fields of POST /v1/consumers
// or POST /v1/keys, and which of them, as kind.
type importInput struct {
	lines  [][]byte
	digest [sha256.Size]byte // of the whole body, so that it can be proved later
}

// importOutput has a result for each line, in their order.
type importOutput struct {
	Results []importResult `json:"results"`
}

// importResult is what the single call would have answered.
type importResult struct {
	Line   int    `json:"line"` // from 1
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func (in *importInput) read(r *http.Request) error {
	body, err := readBody(r, "application/x-ndjson", maxImport)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return badCall("the body holds no line")
	}
	body, in.digest = bytes.TrimSuffix(body, []byte("\n")), sha256.Sum256(body)
	if bytes.Count(body, []byte("\n")) >= maxImportLines {
		return &callError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d lines", maxImportLines)}
	}
	in.lines = bytes.Split(body, []byte("\n"))
	return nil
}

func (in importInput) record() (object, consumer string) {
	return "sha256:" + hex.EncodeToString(in.digest[:]), ""
}

func (in importInput) summary() string { return fmt.Sprintf("%d lines", len(in.lines)) }

func (out importOutput) summary() string {
	var made, taken, again int
	for _, r := range out.Results {
		switch r.Status {
		case http.StatusCreated:
			made++
		case http.StatusConflict:
			taken++
		case http.StatusServiceUnavailable:
			again++
		}
	}
	return fmt.Sprintf("%d created, %d in conflict, %d to be sent again, %d refused", made, taken, again, len(out.Results)-made-taken-again)
}

// importLines makes what the lines say, as far as it can be made. An error means that any of
// it may be there or not.
func (a *Admin) importLines(ctx context.Context, _ *http.Request, in importInput) (out importOutput, err error) {
	lines := make([]importLine, len(in.lines))
	var good []*importLine
	for i, text := range in.lines {
		if lines[i].record, lines[i].err = a.readLine(text); lines[i].err == nil {
			good = append(good, &lines[i])
		}
	}
	if err := a.load(ctx, good); err != nil {
		return out, err
	}
	out.Results = make([]importResult, len(lines))
	for i, line := range lines {
		out.Results[i] = a.resultOf(line)
		out.Results[i].Line = i + 1
	}
	return out, nil
}

func (a *Admin) resultOf(line importLine) importResult {
	if line.err == nil {
		return importResult{Status: http.StatusCreated}
	}
	status, _, detail := a.refusal(line.err)
	if status == 0 || line.record.Key != nil && errors.Is(line.err, store.ErrConflict) {
		status = http.StatusServiceUnavailable // a key may be free, or there, a moment later
	}
	return importResult{Status: status, Detail: detail}
}
