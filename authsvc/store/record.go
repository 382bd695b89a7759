package store

import (
	"context"
	"time"
)

// Record is one thing that a store holds, as it stands there: what Dump tells and Load
// writes. Exactly one field is set.
type Record struct {
	Consumer *Consumer      // with Version (0 for a new one), Created and Updated
	Key      *Key           // with Hash, Version, Created and LastUsed
	Revoked  *RevokedRecord // tokens that were revoked
	Counter  *CounterRecord // of a limit
	Audit    *AuditEntry
}

// RevokedRecord is a revocation as it is kept: whom it names was hashed.
type RevokedRecord struct {
	ID    string // as Revocation.ID writes it
	Until time.Time
}

// CounterRecord is a counter of a limit under the name that every store gives it
// (stile:{<slot>}:limit:… or :quota:…).
type CounterRecord struct {
	Name    string
	Value   int64 // of a rate when its bucket is full, in unix microseconds; of a quota what was spent
	Expires time.Time
}

// Dumper tells all that it holds: consumers, then keys, revocations, counters and the audit
// in the order of its chain. What is changed meanwhile is told as it was or as it is. An
// error of tell ends it and is answered.
type Dumper interface {
	Dump(ctx context.Context, tell func(Record) error) error
}

// Loader writes records as they stand, many at once: a consumer or key with its version and
// times. A key comes after its consumer, and the audit's entries in their order. The first
// result has an error for each record, nil where it is there now: ErrExists where another
// of the same name or the same custom id or hash is there, or a counter that stands higher,
// ErrNotFound where a key's consumer is not there, ErrConflict where an entry of the audit does
// not follow what is there, or another writes the same at this moment, *InvalidError for one that
// no store could hold. What is there already just so is no error. The second is the store's
// trouble: then any of the records may be there or not, and to load them again is right.
type Loader interface {
	Load(ctx context.Context, records []Record) ([]error, error)
}
