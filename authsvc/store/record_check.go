package store

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Validate answers an *InvalidError that lists all that is wrong, or nil.
func (r Record) Validate() error {
	var p problems
	set := 0
	if r.Consumer != nil {
		set++
		p.of("consumer", r.Consumer.Validate())
		if r.Consumer.Version != 0 {
			p.kept(r.Consumer.Version)
		}
		p.add("created", checkTime(r.Consumer.Created))
		p.add("updated", checkTime(r.Consumer.Updated))
	}
	if r.Key != nil {
		set++
		p.of("key", r.Key.Validate())
		p.kept(r.Key.Version)
		p.add("last_used", checkTime(r.Key.LastUsed))
	}
	if r.Revoked != nil {
		set++
		p.of("revoked", r.Revoked.validate())
	}
	if r.Counter != nil {
		set++
		p.of("counter", r.Counter.validate())
	}
	if r.Audit != nil {
		set++
		p.of("audit", r.Audit.validate())
	}
	if set != 1 {
		p = append(p, fmt.Sprintf("a record is of one thing, not of %d", set))
	}
	return p.err()
}

// of adds what is wrong with one part.
func (p *problems) of(part string, err error) {
	var invalid *InvalidError
	if !errors.As(err, &invalid) {
		p.add(part, err)
		return
	}
	for _, problem := range invalid.Problems {
		*p = append(*p, part+": "+problem)
	}
}

// kept is for a version that a store gave.
func (p *problems) kept(version int64) {
	if version < 1 {
		p.add("version", errors.New("it is from 1"))
	}
}

func (r RevokedRecord) validate() error {
	var p problems
	if _, err := parseMark(r.ID); err != nil {
		p.add("id", errors.New("the form is jti:<hash>, sid:<hash> or sub:<hash>:<unix milliseconds>"))
	}
	if r.Until.IsZero() {
		p.add("until", errors.New("missing"))
	}
	p.add("until", checkTime(r.Until))
	return p.err()
}

const (
	maxCounterName  = 4096    // bytes; ours are far shorter
	maxCounterValue = 1 << 53 // what a script in Redis counts exactly (draw)
)

func (r CounterRecord) validate() error {
	var p problems
	slot, rest, _ := strings.Cut(r.Name, "}:")
	if !strings.HasPrefix(slot, "stile:{") || !strings.HasPrefix(rest, "limit:") && !strings.HasPrefix(rest, "quota:") {
		p.add("name", errors.New("the form is stile:{<slot>}:limit:… or stile:{<slot>}:quota:…"))
	}
	if len(r.Name) > maxCounterName {
		p.add("name", fmt.Errorf("longer than %d bytes", maxCounterName))
	}
	if r.Value < 0 || r.Value > maxCounterValue {
		p.add("value", fmt.Errorf("it is from 0 to %d", int64(maxCounterValue)))
	}
	p.add("expires", checkTime(r.Expires))
	return p.err()
}

// validate leaves it to a verifier whether the entry has the hash of its fields: a chain that
// was tampered with has to stay one.
func (e AuditEntry) validate() error {
	var p problems
	if e.Seq < 1 {
		p.add("seq", errors.New("it is from 1"))
	}
	if !isDigest(e.Hash) {
		p.add("hash", errors.New("it is not a SHA-256 in hexadecimal digits"))
	}
	if e.Prev != "" && !isDigest(e.Prev) {
		p.add("prev", errors.New("it is not a SHA-256 in hexadecimal digits"))
	}
	for _, text := range []string{e.Time, e.Actor, e.Action, e.Object, e.Outcome, e.Detail} {
		if !utf8.ValidString(text) {
			p = append(p, "a field is not valid UTF-8")
		}
	}
	return p.err()
}

func isDigest(text string) bool {
	return len(text) == 64 && strings.Trim(text, "0123456789abcdef") == ""
}
