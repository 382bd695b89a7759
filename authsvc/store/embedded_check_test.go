package store

import (
	"fmt"
	"strings"
)

// Put writes a value behind the store's back.
func (e *embedded) Put(in, key, value string) error {
	return e.values.update(func(tx writer) error {
		tx.put(bucket(in), key, value)
		return nil
	})
}

// Delete takes one away.
func (e *embedded) Delete(in, key, _ string) error {
	return e.values.update(func(tx writer) error {
		tx.delete(bucket(in), key)
		return nil
	})
}

// Value reads one.
func (e *embedded) Value(in, key string) (value string) {
	_ = e.values.view(func(tx reader) error {
		value, _ = tx.get(bucket(in), key)
		return nil
	})
	return value
}

// Names are all that stand in a bucket.
func (e *embedded) Names(in string) (names []string) {
	_ = e.values.view(func(tx reader) error {
		for name := range tx.from(bucket(in), "") {
			names = append(names, name)
		}
		return nil
	})
	return names
}

// Check holds all that is there against what kv.go says of it.
func (e *embedded) Check() error {
	return e.values.view(func(tx reader) error {
		var faults checker
		faults.consumers(tx)
		faults.keys(tx)
		faults.graves(tx)
		faults.revoked(tx)
		faults.audit(tx)
		if len(faults) > 0 {
			return fmt.Errorf("%d faults: %s", len(faults), strings.Join(faults[:min(len(faults), 5)], "; "))
		}
		return nil
	})
}

type checker []string

func (c *checker) want(ok bool, format string, args ...any) {
	if !ok {
		*c = append(*c, fmt.Sprintf(format, args...))
	}
}

func (c *checker) consumers(tx reader) {
	customIDs := 0
	for id, value := range tx.from(consumerBucket, "") {
		found, err := parseConsumer(id, value)
		c.want(err == nil, "consumer %q: %v", id, err)
		if found.CustomID != "" {
			customIDs++
			owner, _ := tx.get(customIDBucket, found.CustomID)
			c.want(owner == id, "custom id %q of consumer %q leads to %q", found.CustomID, id, owner)
		}
		_, buried := tx.get(buriedBucket, id)
		c.want(!buried, "consumer %q is alive and buried", id)
	}
	c.want(count(tx, customIDBucket) == customIDs, "%d custom ids lead to %d consumers", count(tx, customIDBucket), customIDs)
}

func (c *checker) keys(tx reader) {
	for id, value := range tx.from(keyBucket, "") {
		k, err := parseKey(id, value)
		c.want(err == nil, "key %q: %v", id, err)
		_, ok := tx.get(consumerBucket, k.Consumer)
		c.want(ok, "consumer %q of key %q is not there", k.Consumer, id)
		_, ok = tx.get(memberBucket, memberKey(k.Consumer, id))
		c.want(ok, "key %q is not among those of its consumer", id)
		owner, _ := tx.get(hashBucket, k.Hash)
		c.want(owner == id, "the hash of key %q leads to %q", id, owner)
	}
	keys, hashes, members := count(tx, keyBucket), count(tx, hashBucket), count(tx, memberBucket)
	c.want(hashes == keys && members == keys, "%d keys, %d hashes, %d members", keys, hashes, members)
}

func (c *checker) graves(tx reader) {
	for id, value := range tx.from(buriedBucket, "") {
		_, at, err := parsePair(value)
		_, ok := tx.get(burialBucket, numberKey(at)+id)
		c.want(ok && err == nil, "the burial of %q is not listed: %v", id, err)
	}
	c.want(count(tx, buriedBucket) == count(tx, burialBucket), "burials are listed of nobody")
}

func (c *checker) revoked(tx reader) {
	for key := range tx.from(revokedEndsBucket, "") {
		_, err := revokedRecord(tx, key)
		c.want(err == nil, "revocation: %v", err)
	}
	c.want(count(tx, revokedBucket) == count(tx, revokedEndsBucket), "not every revocation has its end")
}

func (c *checker) audit(tx reader) {
	var v AuditVerifier
	for _, text := range tx.from(auditBucket, "") {
		entry, err := parseAudit(text)
		if err == nil {
			err = v.Next(entry)
		}
		c.want(err == nil, "audit: %v", err)
	}
	head, err := auditHead(tx)
	if err == nil {
		err = v.End(head)
	}
	c.want(err == nil, "head of the audit: %v", err)
}

func count(tx reader, in bucket) (n int) {
	for range tx.from(in, "") {
		n++
	}
	return n
}

// CheckPages is what bbolt itself finds wrong.
func (f *File) CheckPages() error {
	tx, err := f.file.db.Begin(false)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for fault := range tx.Check() {
		err = fault
	}
	return err
}

// SaveCounters does at once what is done every second.
func (f *File) SaveCounters() error { return f.saver.save() }
