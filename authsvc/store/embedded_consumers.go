package store

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Consumer finds a consumer; nil, nil when there is none.
func (e *embedded) Consumer(ctx context.Context, id string) (*Consumer, error) {
	return ask(ctx, e, "consumer", func(tx reader) (*Consumer, error) {
		c, err := consumerByID(tx, id)
		if c == nil || err != nil {
			return nil, err
		}
		return &c.Consumer, nil
	})
}

// Consumers lists those whose id comes after the given one, in the order of ids.
func (e *embedded) Consumers(ctx context.Context, afterID string, limit int) ([]Consumer, error) {
	return ask(ctx, e, "consumers", func(tx reader) (list []Consumer, err error) {
		for id, value := range tx.from(consumerBucket, after(afterID)) {
			c, err := parseConsumer(id, value)
			if err != nil {
				return nil, err
			}
			if list = append(list, c.Consumer); len(list) == limitOrDefault(limit) {
				break
			}
		}
		return list, nil
	})
}

// CreateConsumer stores a new consumer: ErrExists when its id or custom id is taken.
func (e *embedded) CreateConsumer(ctx context.Context, c Consumer) (Consumer, error) {
	if err := c.Validate(); err != nil {
		return Consumer{}, err
	}
	return write(ctx, e, "create_consumer", func(tx writer) (Consumer, error) {
		if _, ok := tx.get(consumerBucket, c.ID); ok {
			return Consumer{}, fmt.Errorf("consumer %q: %w", c.ID, ErrExists)
		}
		if err := freeCustomID(tx, c); err != nil {
			return Consumer{}, err
		}
		created := c.clone()
		created.Created = plainTime(e.clock())
		created.Updated = created.Created
		last, err := lastVersion(tx, c.ID)
		if err != nil {
			return Consumer{}, err
		}
		created.Version = last + 1
		return created, addConsumer(tx, created)
	})
}

// UpdateConsumer replaces a consumer: ErrNotFound when there is none, ErrConflict when
// its version is not c's, unless that is 0, and ErrExists when the custom id is taken.
func (e *embedded) UpdateConsumer(ctx context.Context, c Consumer) (Consumer, error) {
	if err := c.Validate(); err != nil {
		return Consumer{}, err
	}
	return write(ctx, e, "update_consumer", func(tx writer) (Consumer, error) {
		old, err := consumerByID(tx, c.ID)
		switch {
		case err != nil:
			return Consumer{}, err
		case old == nil:
			return Consumer{}, fmt.Errorf("consumer %q: %w", c.ID, ErrNotFound)
		case c.Version != 0 && c.Version != old.Version:
			return Consumer{}, versionConflict(c, old.Version)
		}
		if err := freeCustomID(tx, c); err != nil {
			return Consumer{}, err
		}
		updated := keptConsumer{c.clone(), old.serial}
		updated.Version, updated.Created, updated.Updated = old.Version+1, old.Created, plainTime(e.clock())
		return updated.Consumer, putConsumer(tx, updated, old.CustomID)
	})
}

func versionConflict(c Consumer, stored int64) error {
	return fmt.Errorf("consumer %q has version %d, not %d: %w", c.ID, stored, c.Version, ErrConflict)
}

func freeCustomID(tx reader, c Consumer) error {
	if owner, ok := tx.get(customIDBucket, c.CustomID); ok && owner != c.ID {
		return customIDTaken(c)
	}
	return nil
}

func customIDTaken(c Consumer) error {
	return fmt.Errorf("custom id %q: %w", c.CustomID, ErrExists)
}

// addConsumer writes a consumer that is not there.
func addConsumer(tx writer, c Consumer) error {
	serial, err := lastSerial(tx)
	if err != nil {
		return err
	}
	kept := keptConsumer{c, serial + 1}
	if err := putConsumer(tx, kept, ""); err != nil {
		return err
	}
	tx.put(metaBucket, serialKey, decimal(kept.serial))
	if value, ok := tx.get(buriedBucket, c.ID); ok {
		return exhume(tx, c.ID, value)
	}
	return nil
}

// lastSerial is the number of consumers that were ever made.
func lastSerial(tx reader) (int64, error) {
	text, ok := tx.get(metaBucket, serialKey)
	if !ok {
		return 0, nil
	}
	return parseNumber(text)
}

// putConsumer writes a consumer, which had a custom id before, or "".
func putConsumer(tx writer, c keptConsumer, oldCustomID string) error {
	value, err := c.value()
	if err != nil {
		return err
	}
	tx.put(consumerBucket, c.ID, value)
	if oldCustomID != c.CustomID {
		dropCustomID(tx, oldCustomID)
	}
	if c.CustomID != "" {
		tx.put(customIDBucket, c.CustomID, c.ID)
	}
	return nil
}

func dropCustomID(tx writer, customID string) {
	if customID != "" {
		tx.delete(customIDBucket, customID)
	}
}

// DeleteConsumer deletes a consumer and all its keys: ErrNotFound when there is none.
func (e *embedded) DeleteConsumer(ctx context.Context, id string) error {
	_, err := write(ctx, e, "delete_consumer", func(tx writer) (none struct{}, err error) {
		c, err := consumerByID(tx, id)
		if err != nil {
			return none, err
		}
		if c == nil {
			return none, fmt.Errorf("consumer %q: %w", id, ErrNotFound)
		}
		keys, err := consumerKeys(tx, id, "", math.MaxInt)
		if err != nil {
			return none, err
		}
		for _, k := range keys {
			dropKey(tx, k)
		}
		dropCustomID(tx, c.CustomID)
		tx.delete(consumerBucket, id)
		bury(tx, c.Consumer, e.clock())
		return none, nil
	})
	return err
}

// buriedTime is how long the version of a deleted consumer stays, so that one that a client
// read before cannot be taken for one of a new consumer of the same id.
const buriedTime = 24 * time.Hour

func bury(tx writer, c Consumer, now time.Time) {
	sweep(tx, buriedBucket, burialBucket, now.Add(-buriedTime))
	tx.put(buriedBucket, c.ID, pair(c.Version, microsUp(now)))
	tx.put(burialBucket, timeKey(now)+c.ID, "")
}

// exhume is for a new consumer of the id of a deleted one.
func exhume(tx writer, id, value string) error {
	_, micros, err := parsePair(value)
	tx.delete(buriedBucket, id)
	tx.delete(burialBucket, numberKey(micros)+id)
	return err
}

// lastVersion is that of a deleted consumer, or 0.
func lastVersion(tx reader, id string) (version int64, err error) {
	value, ok := tx.get(buriedBucket, id)
	if !ok {
		return 0, nil
	}
	version, _, err = parsePair(value)
	return version, err
}
