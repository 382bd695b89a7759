package store

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The values of the buckets, to and fro. A reading checks that a value is that of its name.

// keptConsumer is a consumer with the number that it got when it was made, which tells
// whether it was there when something began.
type keptConsumer struct {
	Consumer
	serial int64
}

func consumerByID(tx reader, id string) (*keptConsumer, error) {
	value, ok := tx.get(consumerBucket, id)
	if !ok {
		return nil, nil
	}
	c, err := parseConsumer(id, value)
	return &c, err
}

func parseConsumer(id, value string) (c keptConsumer, err error) {
	version, rest, _ := strings.Cut(value, " ")
	serial, text, _ := strings.Cut(rest, " ")
	if c.Consumer, err = decodeConsumer(id, text, version); err != nil {
		return keptConsumer{}, err
	}
	c.serial, err = parseNumber(serial)
	return c, err
}

func (c keptConsumer) value() (string, error) {
	text, err := encodeConsumer(c.Consumer)
	if err != nil {
		return "", fmt.Errorf("encode consumer %q: %w", c.ID, err)
	}
	return decimal(c.Version) + " " + decimal(c.serial) + " " + text, nil
}

// keyByID finds a key without its last use.
func keyByID(tx reader, id string) (*Key, error) {
	value, ok := tx.get(keyBucket, id)
	if !ok {
		return nil, nil
	}
	k, err := parseKey(id, value)
	return &k, err
}

func parseKey(id, value string) (Key, error) {
	hash, rest, _ := strings.Cut(value, " ")
	version, text, _ := strings.Cut(rest, " ")
	k, err := decodeKey(hash, text, version)
	if err == nil && k.ID != id {
		err = fmt.Errorf("key %q is stored as %q: %w", id, k.ID, ErrCorrupt)
	}
	return k, err
}

func keyValue(k Key) (string, error) {
	text, err := encodeKey(k)
	return k.Hash + " " + decimal(k.Version) + " " + text, err
}

// withUse is a key with its last use, which stands where it is named as its consumer's.
func withUse(tx reader, k Key) (Key, error) {
	minute, ok := tx.get(memberBucket, memberKey(k.Consumer, k.ID))
	if !ok {
		return Key{}, fmt.Errorf("key %q is not among those of consumer %q: %w", k.ID, k.Consumer, ErrCorrupt)
	}
	return k, k.setUse(minute)
}

// use is a key's last use as it is kept.
func (k Key) use() string {
	if k.LastUsed.IsZero() {
		return ""
	}
	return decimal(minuteOf(k.LastUsed))
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

func (k *Key) setUse(minute string) error {
	if minute == "" {
		return nil
	}
	n, err := parseNumber(minute)
	k.LastUsed = time.Unix(60*n, 0).UTC()
	return err
}

func memberKey(consumer, key string) string { return memberPrefix(consumer) + key }

// memberPrefix is of one consumer only: ids have no NUL.
func memberPrefix(consumer string) string { return consumer + "\x00" }

// parsePair reads two numbers.
func parsePair(value string) (first, second int64, err error) {
	a, b, _ := strings.Cut(value, " ")
	if first, err = parseNumber(a); err == nil {
		second, err = parseNumber(b)
	}
	return first, second, err
}

func pair(first, second int64) string { return decimal(first) + " " + decimal(second) }

func parseNumber(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("number %q: %w", text, ErrCorrupt)
	}
	return n, nil
}
