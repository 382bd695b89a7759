package store

import (
	"context"
	"fmt"
	"time"
)

// Revoke ends tokens. To do so again changes nothing.
func (e *embedded) Revoke(ctx context.Context, rev Revocation) error {
	if err := rev.Validate(); err != nil {
		return err
	}
	now := e.clock()
	if _, err := rev.left(now); err != nil {
		return err
	}
	_, err := write(ctx, e, "revoke_token", func(tx writer) (none struct{}, err error) {
		sweep(tx, revokedBucket, revokedEndsBucket, now)
		return none, putRevoked(tx, rev.mark(), rev.Until)
	})
	return err
}

// putRevoked writes what is revoked. What is there moves forward only, and stands for the
// longer time.
func putRevoked(tx writer, m mark, until time.Time) error {
	name, end := m.name.String(), microsUp(until)
	if value, ok := tx.get(revokedBucket, name); ok {
		before, ends, err := parsePair(value)
		if err != nil {
			return fmt.Errorf("revocation: %w", err)
		}
		if m.before <= before && end <= ends {
			return nil
		}
		m.before, end = max(m.before, before), max(end, ends)
		tx.delete(revokedEndsBucket, numberKey(ends)+name)
	}
	tx.put(revokedBucket, name, pair(m.before, end))
	tx.put(revokedEndsBucket, numberKey(end)+name, "")
	return nil
}

// Revoked tells whether a token was revoked.
func (e *embedded) Revoked(ctx context.Context, t TokenRef) (bool, error) {
	names := t.names()
	if len(names) == 0 {
		return false, nil
	}
	now := e.clock().UnixMicro()
	return ask(ctx, e, "revoked", func(tx reader) (bool, error) {
		for _, name := range names {
			value, ok := tx.get(revokedBucket, name.String())
			if !ok {
				continue
			}
			before, end, err := parsePair(value)
			if err != nil {
				return false, fmt.Errorf("revocation: %w", err)
			}
			if now < end && t.falls(before) {
				return true, nil
			}
		}
		return false, nil
	})
}

// AllRevoked lists all that is revoked, as Revocation.ID writes it; false when that is more
// than most.
func (e *embedded) AllRevoked(ctx context.Context, most int) (ids []string, all bool, err error) {
	ids, err = ask(ctx, e, "all_revoked", func(tx reader) (ids []string, err error) {
		for key := range tx.from(revokedEndsBucket, numberKey(e.clock().UnixMicro()+1)) {
			r, err := revokedRecord(tx, key)
			if err != nil {
				return nil, err
			}
			if ids = append(ids, r.ID); len(ids) > most {
				break
			}
		}
		return ids, nil
	})
	return ids[:min(len(ids), most)], len(ids) <= most && err == nil, err
}

// revokedRecord is what stands in the index of ends under a key.
func revokedRecord(tx reader, key string) (r RevokedRecord, err error) {
	name := key[numberKeyLen:]
	value, _ := tx.get(revokedBucket, name)
	before, end, err := parsePair(value)
	if err != nil || numberKey(end) != key[:numberKeyLen] {
		return RevokedRecord{}, fmt.Errorf("revocation: its end is not as listed: %w", ErrCorrupt)
	}
	r.ID, r.Until = name, time.UnixMicro(end).UTC()
	if before != always {
		r.ID += ":" + decimal(before)
	}
	return r, nil
}
