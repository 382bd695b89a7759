package store

import (
	"context"
	"fmt"
	"reflect"
	"time"
)

// Load writes records as they stand, all in one transaction, so that some thousands at a time
// are best: other writers wait for it. What has expired is passed over:
// to have forgotten it is to have it. Last uses only move forward, and so do revocations. A
// key whose consumer is not there is ErrNotFound.
func (e *embedded) Load(ctx context.Context, records []Record) ([]error, error) {
	now := e.clock()
	problems, err := write(ctx, e, "load", func(tx writer) ([]error, error) {
		problems := make([]error, len(records))
		for i, r := range records {
			problems[i] = load(tx, r, now)
			if problems[i] != nil && !unchanged(problems[i]) {
				return nil, fmt.Errorf("load record %d of %d: %w", i+1, len(records), problems[i])
			}
		}
		return problems, nil
	})
	if err != nil {
		return nil, err
	}
	for i, r := range records {
		if r.Counter != nil && problems[i] == nil {
			problems[i] = e.meter.load(*r.Counter, now)
		}
	}
	if err := e.keep(); err != nil {
		return nil, err
	}
	return problems, nil
}

// load writes a record that is no counter. With an error it has written nothing.
func load(tx writer, r Record, now time.Time) error {
	if err := r.Validate(); err != nil {
		return err
	}
	switch {
	case r.Consumer != nil:
		return loadConsumer(tx, *r.Consumer)
	case r.Key != nil:
		return loadKey(tx, *r.Key)
	case r.Revoked != nil:
		return loadRevoked(tx, *r.Revoked, now)
	case r.Audit != nil:
		return loadAudit(tx, *r.Audit)
	}
	return nil
}

func loadConsumer(tx writer, c Consumer) error {
	c = c.clone()
	c.Created, c.Updated = plainTime(c.Created), plainTime(c.Updated)
	there, err := consumerByID(tx, c.ID)
	switch {
	case err != nil:
		return err
	case there == nil:
		if err := freeCustomID(tx, c); err != nil {
			return err
		}
		buried, err := lastVersion(tx, c.ID)
		if err != nil {
			return err
		}
		if c.Version == 0 {
			c.Version = buried + 1
		}
		return addConsumer(tx, c)
	case !reflect.DeepEqual(there.Consumer, c):
		return fmt.Errorf("consumer %q: %w", c.ID, ErrExists)
	}
	return nil
}

func loadKey(tx writer, k Key) error {
	used := k.LastUsed
	k = k.clone()
	k.LastUsed = time.Time{}
	there, err := keyByID(tx, k.ID)
	switch {
	case err != nil:
		return err
	case there == nil:
		if _, taken := tx.get(hashBucket, k.Hash); taken {
			return hashTaken(k)
		}
		k.LastUsed = used
		return addKey(tx, k)
	case !reflect.DeepEqual(*there, k):
		return fmt.Errorf("key %q: %w", k.ID, ErrExists)
	case used.IsZero():
		return nil
	}
	return markUsed(tx, Use{Consumer: k.Consumer, Key: k.ID, At: used})
}

func loadRevoked(tx writer, r RevokedRecord, now time.Time) error {
	m, err := parseMark(r.ID)
	if err != nil || !now.Before(r.Until) {
		return err
	}
	return putRevoked(tx, m, r.Until)
}

func loadAudit(tx writer, entry AuditEntry) error {
	head, err := auditHead(tx)
	if err != nil {
		return err
	}
	if entry.Seq > head.Seq {
		if entry.Seq != head.Seq+1 || entry.Prev != head.Hash {
			return fmt.Errorf("entry %d of the audit does not follow the last one, %d: %w", entry.Seq, head.Seq, ErrConflict)
		}
		return putAudit(tx, entry)
	}
	text, _ := tx.get(auditBucket, numberKey(entry.Seq))
	if there, err := parseAudit(text); err != nil || there != entry {
		return fmt.Errorf("another entry %d of the audit is there: %w", entry.Seq, ErrConflict)
	}
	return nil
}
