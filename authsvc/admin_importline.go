package authsvc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/stile-gate/stile/authsvc/store"
)

// importLine is one line of an import, and why it is refused.
type importLine struct {
	record store.Record
	err    error
}

// readLine reads and checks a line as the call of its kind does with its body.
func (a *Admin) readLine(text []byte) (store.Record, error) {
	kind, body, err := cutKind(text)
	if err != nil {
		return store.Record{}, err
	}
	if err := checkSize(body, maxBody); err != nil {
		return store.Record{}, err
	}
	switch kind {
	case "consumer":
		return a.consumerLine(body)
	case "key":
		return a.keyLine(body)
	}
	var nothing struct{} // what is no JSON, or says anything twice, is told first
	if err := a.checkBody(body, &nothing); err != nil {
		return store.Record{}, notTaken(err)
	}
	return store.Record{}, badCall("kind %.40q is neither consumer nor key", kind)
}

func (a *Admin) consumerLine(body []byte) (store.Record, error) {
	var in consumerInput
	if err := a.parse(body, &in); err != nil {
		return store.Record{}, err
	}
	c, err := a.newConsumer(in)
	return store.Record{Consumer: &c}, err
}

func (a *Admin) keyLine(body []byte) (store.Record, error) {
	var in keyInput
	if err := a.parse(body, &in); err != nil {
		return store.Record{}, err
	}
	if in.Hash == "" && in.Text == "" {
		return store.Record{}, badCall("a key needs its hash, or with opaque the key itself; nobody would see one that is made here")
	}
	k, _, err := a.checkedKey(in)
	return store.Record{Key: &k}, err
}

// cutKind takes the field kind out of an object, and leaves all else as it is written, for
// the call that it names to judge. The kind is "" where there is none, and of what is no JSON.
func cutKind(text []byte) (kind string, rest []byte, err error) {
	if !json.Valid(text) {
		return "", text, nil
	}
	rest = text
	dec := json.NewDecoder(bytes.NewReader(text))
	if open, _ := dec.Token(); open != json.Delim('{') {
		return "", text, nil
	}
	for cut := false; dec.More(); {
		begin := dec.InputOffset()
		name, err := dec.Token()
		var value json.RawMessage
		if err := errors.Join(err, dec.Decode(&value)); err != nil {
			return "", nil, notTaken(err)
		}
		if is, _ := name.(string); !strings.EqualFold(is, "kind") {
			continue
		}
		if cut {
			return "", nil, notTaken(fmt.Errorf("it says %.60q twice", name))
		}
		cut = true
		_ = json.Unmarshal(value, &kind) // of another type it is none that there is
		rest = cutOut(text, int(begin), int(dec.InputOffset()))
	}
	return kind, rest, nil
}

// cutOut cuts a field out of an object. A comma before it is cut with it, and if it is the
// first one, the comma behind it.
func cutOut(text []byte, begin, end int) []byte {
	behind := bytes.TrimLeft(text[end:], " \t\r\n")
	if text[begin] != ',' && bytes.TrimLeft(text[begin:], " \t\r\n")[0] != ',' {
		behind = bytes.TrimPrefix(behind, []byte(","))
	}
	return append(bytes.Clone(text[:begin]), behind...)
}
