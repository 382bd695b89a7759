package store

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// AuditRecord is what somebody did, or tried to. It holds no secret.
type AuditRecord struct {
	Actor   string `json:"actor"`            // who
	Action  string `json:"action"`           // what: "key.create"
	Object  string `json:"object,omitempty"` // the id of what it was done to
	Outcome string `json:"outcome"`          // attempt, done, refused or failed
	Detail  string `json:"detail,omitempty"`
}

// AuditEntry is a record in its place in the chain. Each entry has the hash of the one
// before it, so that none can be changed, taken out or put in without all that come after
// being made anew.
type AuditEntry struct {
	Seq  int64  `json:"seq"`  // from 1, without gaps
	Time string `json:"time"` // RFC 3339 in UTC with microseconds; text, since it is hashed
	AuditRecord
	Prev string `json:"prev"` // the hash of the entry before; "" in the first
	Hash string `json:"hash"` // hex SHA-256 of prev and of the fields, each behind its length
}

// AuditHead is where a chain ends. Written down elsewhere, it shows later that the chain
// was not made anew.
type AuditHead struct {
	Seq  int64  `json:"seq"` // 0 when there is no entry
	Hash string `json:"hash,omitempty"`
}

// auditTime is the form of an entry's time.
const auditTime = "2006-01-02T15:04:05.000000Z"

// after makes the entry that follows a head. Its texts are UTF-8: an export in JSON has to
// give the same hash.
func (r AuditRecord) after(head AuditHead, now time.Time) AuditEntry {
	for _, text := range []*string{&r.Actor, &r.Action, &r.Object, &r.Outcome, &r.Detail} {
		*text = strings.ToValidUTF8(*text, "\uFFFD")
	}
	e := AuditEntry{Seq: head.Seq + 1, Time: now.UTC().Format(auditTime), AuditRecord: r, Prev: head.Hash}
	e.Hash = e.digest()
	return e
}

func (e AuditEntry) digest() string {
	sum := framedDigest(e.Prev, strconv.FormatInt(e.Seq, 10), e.Time, e.Actor, e.Action, e.Object, e.Outcome, e.Detail)
	return hex.EncodeToString(sum[:])
}

func (e AuditEntry) head() AuditHead { return AuditHead{e.Seq, e.Hash} }
