package store

import (
	"encoding/binary"
	"strconv"
	"time"
)

// kind is what a record is about.
type kind int

const (
	ofConsumer kind = iota
	ofKey
	ofUse // when a key was last used
	ofRevocation
	ofCounter
	ofAudit
	kinds
)

func (k kind) String() string {
	return [kinds]string{"consumers", "keys", "last uses", "revocations", "counters", "audit"}[k]
}

// kind is what a record is about first of all.
func (r Record) kind() kind {
	switch {
	case r.Consumer != nil:
		return ofConsumer
	case r.Key != nil:
		return ofKey
	case r.Revoked != nil:
		return ofRevocation
	case r.Counter != nil:
		return ofCounter
	}
	return ofAudit
}

// moves tells whether requests alone change what is there.
func (k kind) moves() bool { return k == ofUse || k == ofCounter }

// fact is what a store says of one thing, in a form that is the same for all stores. Nothing
// can be told from it but whether two are alike.
type fact struct {
	kind kind
	name string
	sum  digest
	ends int64 // unix minute; 0 for never
}

// String names what it is about.
func (f fact) String() string {
	if f.kind == ofAudit {
		return "audit entry " + f.name
	}
	return [kinds]string{"consumer", "key", "last use of key", "revocation", "counter"}[f.kind] + " " + strconv.Quote(f.name)
}

func newFact(kind kind, name string, content ...string) fact {
	return fact{kind: kind, name: name, sum: framedDigest(append(content, name)...)}
}

// factOf leaves out when a key was used, which is one by itself. Encoding fails for nothing
// that a store holds.
func factOf(r Record) fact {
	switch {
	case r.Consumer != nil:
		c := r.Consumer.clone()
		c.Created, c.Updated = plainTime(c.Created), plainTime(c.Updated)
		text, _ := encodeConsumer(c)
		return newFact(ofConsumer, c.ID, text, strconv.FormatInt(c.Version, 10))
	case r.Key != nil:
		text, _ := encodeKey(r.Key.clone())
		return newFact(ofKey, r.Key.ID, text, strconv.FormatInt(r.Key.Version, 10))
	case r.Revoked != nil:
		f := newFact(ofRevocation, r.Revoked.ID, strconv.FormatInt(millisUp(r.Revoked.Until), 10))
		return f.until(r.Revoked.Until)
	case r.Counter != nil:
		return counterFact(*r.Counter)
	case r.Audit != nil:
		e := r.Audit
		return newFact(ofAudit, strconv.FormatInt(e.Seq, 10), e.Time, e.Actor, e.Action, e.Object, e.Outcome, e.Detail, e.Prev, e.Hash)
	}
	return fact{}
}

// counterFact leaves out how long that of a rate is kept after its bucket is full.
func counterFact(c CounterRecord) fact {
	value := strconv.FormatInt(c.Value, 10)
	if rate, _ := isRate(c.Name); rate {
		return newFact(ofCounter, c.Name, value).until(time.UnixMicro(c.Value))
	}
	return newFact(ofCounter, c.Name, value, strconv.FormatInt(counterExpiry(c), 10)).until(c.Expires)
}

func (f fact) until(t time.Time) fact {
	f.ends = max(1, t.Unix()/60)
	return f
}

// useOf is when a key was last used, to the minute; false for never, or before it was made:
// then it was another key of the same id.
func useOf(k *Key) (fact, bool) {
	if k == nil || k.LastUsed.IsZero() || minuteOf(k.LastUsed) < minuteOf(k.Created) {
		return fact{}, false
	}
	return newFact(ofUse, k.ID, strconv.FormatInt(minuteOf(k.LastUsed), 10)), true
}

// short is enough to find one of some millions.
func (d digest) short() uint64 { return binary.BigEndian.Uint64(d[:]) }

// tally is of many facts, in any order.
type tally struct {
	n   int64
	sum [2]uint64
}

func (t *tally) add(d digest) {
	t.n++
	t.sum[0] += binary.BigEndian.Uint64(d[:])
	t.sum[1] += binary.BigEndian.Uint64(d[8:])
}

// place is where a fact is counted: by the minute in which it ends, and a part of those by
// their names, so that few are to be looked at to find one that is different.
type place struct {
	ends int64
	part uint16
}

const (
	parts       = 4096
	partsOfEnds = 64 // of each minute
)

func (f fact) place() place {
	n := uint64(parts)
	if f.ends != 0 {
		n = partsOfEnds
	}
	return place{f.ends, uint16(framedDigest(f.name).short() % n)}
}

// census is all that a store says.
type census [kinds]map[place]tally

func (c *census) addRecord(r Record) {
	c.add(factOf(r))
	if use, ok := useOf(r.Key); ok {
		c.add(use)
	}
}

func (c *census) add(f fact) {
	if c[f.kind] == nil {
		c[f.kind] = map[place]tally{}
	}
	at := f.place()
	t := c[f.kind][at]
	t.add(f.sum)
	c[f.kind][at] = t
}

// count is how many things of a kind there are that end after a minute.
func (c *census) count(kind kind, after int64) (n int64) {
	for at, t := range c[kind] {
		if !at.ended(after) {
			n += t.n
		}
	}
	return n
}

func (p place) ended(by int64) bool { return p.ends != 0 && p.ends <= by }
