package store

import (
	"context"
	"fmt"
)

// dumpAtOnce bounds a transaction of Dump: while one reads, a file cannot grow.
const dumpAtOnce = 500

// Dump tells all that is there, in the order that Load wants. A consumer who is made
// meanwhile is left out, with all its keys.
func (e *embedded) Dump(ctx context.Context, tell func(Record) error) error {
	last, err := ask(ctx, e, "dump", lastSerial)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		of     bucket
		from   string
		record dumper
	}{
		{consumerBucket, "", func(_ reader, id, value string) (Record, error) { return dumpConsumer(id, value, last) }},
		{keyBucket, "", func(tx reader, id, value string) (Record, error) { return dumpKey(tx, id, value, last) }},
		{revokedEndsBucket, numberKey(e.clock().UnixMicro() + 1), dumpRevoked}, // and none that has ended
	} {
		if err := e.dump(ctx, part.of, part.from, part.record, tell); err != nil {
			return err
		}
	}
	for _, r := range e.meter.records(e.clock()) {
		if err := tell(Record{Counter: &r}); err != nil {
			return err
		}
	}
	return e.dump(ctx, auditBucket, "", dumpAudit, tell)
}

// dumper makes a record of what stands in a bucket, or an empty one to leave it out.
type dumper func(tx reader, key, value string) (Record, error)

// dump tells what stands in a bucket from a key on. No writer waits for tell.
func (e *embedded) dump(ctx context.Context, in bucket, from string, record dumper, tell func(Record) error) error {
	for more := true; more; {
		records, err := ask(ctx, e, "dump", func(tx reader) (some []Record, err error) {
			more = false
			count := 0
			for key, value := range tx.from(in, from) {
				if count++; count > dumpAtOnce {
					from, more = key, true
					break
				}
				r, err := record(tx, key, value)
				if err != nil {
					return nil, err
				}
				some = append(some, r)
			}
			return some, nil
		})
		if err != nil {
			return err
		}
		for _, r := range records {
			if r == (Record{}) {
				continue
			}
			if err := tell(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func dumpConsumer(id, value string, last int64) (Record, error) {
	c, err := parseConsumer(id, value)
	if err != nil || c.serial > last {
		return Record{}, err
	}
	return Record{Consumer: &c.Consumer}, nil
}

func dumpKey(tx reader, id, value string, last int64) (Record, error) {
	k, err := parseKey(id, value)
	if err != nil {
		return Record{}, err
	}
	c, err := consumerByID(tx, k.Consumer)
	if err != nil {
		return Record{}, err
	}
	if c == nil {
		return Record{}, fmt.Errorf("key %q is of consumer %q, which is not there: %w", id, k.Consumer, ErrCorrupt)
	}
	if c.serial > last {
		return Record{}, nil
	}
	k, err = withUse(tx, k)
	return Record{Key: &k}, err
}

func dumpRevoked(tx reader, key, _ string) (Record, error) {
	r, err := revokedRecord(tx, key)
	return Record{Revoked: &r}, err
}

func dumpAudit(_ reader, _, text string) (Record, error) {
	entry, err := parseAudit(text)
	return Record{Audit: &entry}, err
}
