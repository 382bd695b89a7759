package store

import (
	"fmt"
	"iter"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// fileTx is a transaction on a file. What it reads is copied, since bbolt's own memory ends
// with the transaction.
type fileTx struct {
	tx      *bbolt.Tx
	buckets map[bucket]*bbolt.Bucket
	writes  int
	err     error // the first of put and delete
}

func newFileTx(tx *bbolt.Tx) *fileTx {
	return &fileTx{tx: tx, buckets: make(map[bucket]*bbolt.Bucket, 4)}
}

// do runs one change. One that panics may have written before.
func (t *fileTx) do(work func(writer) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			t.writes++
			err = damage(p)
		}
	}()
	if err := work(t); err != nil {
		return err
	}
	return t.err
}

func (t *fileTx) in(name bucket) *bbolt.Bucket {
	b := t.buckets[name]
	if b == nil {
		b = t.tx.Bucket([]byte(name))
		t.buckets[name] = b
	}
	return b
}

// maxValue is far above what is ever written, and below what a damaged file may say that
// there is to be copied.
const maxValue = 16 << 20

func textOf(b []byte) string {
	if len(b) > maxValue {
		panic(fmt.Errorf("a text of %d bytes", len(b)))
	}
	return string(b)
}

func (t *fileTx) get(in bucket, key string) (string, bool) {
	value := t.in(in).Get([]byte(key))
	return textOf(value), value != nil
}

func (t *fileTx) from(in bucket, key string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		c := t.in(in).Cursor()
		for k, v := c.Seek([]byte(key)); k != nil && yield(textOf(k), textOf(v)); {
			k, v = c.Next()
		}
	}
}

func (t *fileTx) put(in bucket, key, value string) {
	if len(value) > maxValue {
		t.wrote(bolterrors.ErrValueTooLarge)
		return
	}
	t.wrote(t.in(in).Put([]byte(key), []byte(value)))
}

func (t *fileTx) delete(in bucket, key string) { t.wrote(t.in(in).Delete([]byte(key))) }

func (t *fileTx) wrote(err error) {
	t.writes++
	if t.err == nil {
		t.err = err
	}
}
