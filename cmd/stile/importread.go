package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/stile-gate/stile/authsvc/strictjson"
)

// record is one consumer or key of a file that is imported.
type record struct {
	line         int
	kind         string // consumer or key
	id, consumer string
	imported     bool   // a key with a hash or a text of its own
	text         []byte // the line
	unreadableAs error  // why it is none, if it cannot be read
}

// records reads a file piece by piece. An error other than io.EOF ends it.
type records interface{ next() (record, error) }

// maxLine is what the admin API takes of one.
const maxLine = 64 << 10

var errLongLine = fmt.Errorf("longer than %d bytes", maxLine)

// jsonLines is JSON Lines: a consumer or a key as the admin API takes it, and its kind.
type jsonLines struct {
	in   *bufio.Reader
	line int
}

func newJSONLines(in io.Reader) *jsonLines { return &jsonLines{in: bufio.NewReaderSize(in, maxLine)} }

func (j *jsonLines) next() (record, error) {
	for {
		text, err := j.in.ReadSlice('\n')
		j.line++
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = j.in.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return record{}, err
		}
		text = bytes.TrimSpace(text)
		switch {
		case long:
			return record{line: j.line, unreadableAs: errLongLine}, nil
		case len(text) > 0:
			return parseRecord(j.line, text), nil
		case err != nil:
			return record{}, io.EOF
		}
	}
}

// parseRecord notes what the import itself needs to know of a line, which is sent as it is
// written: what is right is for the server to say. What has two meanings is told here.
func parseRecord(line int, text []byte) record {
	rec := record{line: line}
	var fields map[string]json.RawMessage
	if text[0] != '{' || json.Unmarshal(text, &fields) != nil {
		rec.unreadableAs = errors.New("not a JSON object")
		return rec
	}
	if rec.unreadableAs = strictjson.Check(text, nil); rec.unreadableAs != nil {
		return rec
	}
	rec.text = bytes.Clone(text)
	for name, value := range fields {
		rec.note(name, value)
	}
	rec.check()
	return rec
}

func (rec *record) note(name string, value json.RawMessage) {
	var text string
	_ = json.Unmarshal(value, &text) // what is of another type, the server refuses
	switch strings.ToLower(name) {   // as the server takes it
	case "kind":
		rec.kind = text
	case "id":
		rec.id = text
	case "consumer":
		rec.consumer = text
	case "hash", "key":
		rec.imported = true
	}
}

func (rec *record) check() {
	switch {
	case rec.kind != "consumer" && rec.kind != "key":
		rec.unreadableAs = fmt.Errorf("kind %.40q is neither consumer nor key", rec.kind)
	case rec.kind == "consumer":
		rec.consumer = rec.id
	case !rec.imported:
		rec.unreadableAs = errors.New("a key needs its hash, or with opaque the key itself; nobody would see one that is made here")
	}
}

// The columns of a CSV file, by how their cells are written in JSON.
var (
	textColumns = []string{"kind", "id", "username", "custom_id", "consumer", "name", "not_before", "expires_at", "hash", "key"}
	listColumns = []string{"groups", "scopes", "routes", "networks", "limits"} // with ; between
	flagColumns = []string{"disabled", "opaque"}                               // true or false
)

// csvLines is CSV (RFC 4180) with a first line that names the columns, in any order.
type csvLines struct {
	in      *csv.Reader
	columns []string
}

func newCSVLines(in io.Reader) (*csvLines, error) {
	c := &csvLines{in: csv.NewReader(in)}
	head, err := c.in.Read()
	if err != nil {
		return nil, fmt.Errorf("the first line must name the columns: %w", err)
	}
	known := slices.Concat(textColumns, listColumns, flagColumns)
	head[0] = strings.TrimPrefix(head[0], "\ufeff") // spreadsheets write it
	for i, name := range head {
		switch {
		case slices.Contains(head[:i], name):
			return nil, fmt.Errorf("the first line names the column %.40q twice; leave one out", name)
		case !slices.Contains(known, name):
			return nil, fmt.Errorf("the first line names a column %.40q that is unknown; there are %s", name, strings.Join(known, ", "))
		}
	}
	if !slices.Contains(head, "kind") {
		return nil, errors.New("the first line names no column kind")
	}
	c.columns = head
	return c, nil
}

func (c *csvLines) next() (record, error) {
	cells, err := c.in.Read()
	var wrong *csv.ParseError
	switch {
	case errors.As(err, &wrong) && errors.Is(err, csv.ErrFieldCount):
		return record{line: wrong.Line, unreadableAs: fmt.Errorf("%d cells, where the first line has %d", len(cells), len(c.columns))}, nil
	case err != nil: // a quote that does not end: nobody knows where the next line begins
		return record{}, err
	}
	line, _ := c.in.FieldPos(0)
	fields := map[string]any{}
	for i, cell := range cells {
		name := c.columns[i]
		switch {
		case cell == "":
		case slices.Contains(listColumns, name):
			fields[name] = strings.Split(cell, ";")
		case !slices.Contains(flagColumns, name):
			fields[name] = cell
		case cell == "true" || cell == "false":
			fields[name] = cell == "true"
		default:
			return record{line: line, unreadableAs: fmt.Errorf("%s: write true or false", name)}, nil
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return record{}, err
	}
	if len(text) > maxLine {
		return record{line: line, unreadableAs: errLongLine}, nil
	}
	return parseRecord(line, text), nil
}
