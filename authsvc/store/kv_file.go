package store

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"go.etcd.io/bbolt"
)

// fileValues are key-values in a file of bbolt. A write is on the disk when it is answered;
// writers that come at the same time share a transaction, and so its fsync.
type fileValues struct {
	db   *bbolt.DB
	file *os.File // of db

	turn sync.Mutex // of transactions that write

	mu      sync.Mutex
	waiting []*change
	failure error // of the last transaction that wrote; nil when it is on the disk

	damaged atomic.Pointer[error] // bbolt gave up with its locks held, perhaps
}

// change is an update that waits for its turn, or had it.
type change struct {
	work func(writer) error
	done bool
	err  error
}

func (f *fileValues) view(look func(reader) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // of what is mapped and cannot be read
	tx, err := f.begin(false)
	if err != nil {
		return fmt.Errorf("read the store's file: %w", err)
	}
	defer func() {
		if p := recover(); p != nil {
			err = damage(p)
		}
		_ = tx.Rollback() // which is how a view ends
	}()
	return look(newFileTx(tx))
}

func (f *fileValues) begin(writable bool) (tx *bbolt.Tx, err error) {
	if damaged := f.damaged.Load(); damaged != nil {
		return nil, *damaged
	}
	defer f.giveUp(&err)
	return f.db.Begin(writable)
}

// giveUp is for a panic of bbolt itself, which may hold its locks for ever then.
func (f *fileValues) giveUp(err *error) {
	if p := recover(); p != nil {
		damaged := damage(p)
		f.damaged.Store(&damaged)
		*err = damaged
	}
}

// damage is what bbolt's panic says of the file, which is not as bbolt left it.
func damage(p any) error {
	return fmt.Errorf("the store's file is damaged: %w: %v", ErrCorrupt, p)
}

// update waits for its turn. Whoever has it does the work of all who wait.
func (f *fileValues) update(work func(writer) error) error {
	c := &change{work: work}
	f.mu.Lock()
	f.waiting = append(f.waiting, c)
	f.mu.Unlock()
	f.turn.Lock()
	defer f.turn.Unlock()
	if c.done {
		return c.err
	}
	f.mu.Lock()
	all := f.waiting
	f.waiting = nil
	f.mu.Unlock()
	f.doAll(all)
	return c.err
}

// doAll does changes in one transaction. One that fails after it has written gets another,
// alone, and so do the others without it.
func (f *fileValues) doAll(all []*change) {
	if len(all) == 0 {
		return
	}
	spoilt, err := f.try(all)
	if spoilt >= 0 && len(all) > 1 {
		f.doAll(all[spoilt : spoilt+1])
		f.doAll(append(all[:spoilt:spoilt], all[spoilt+1:]...))
		return
	}
	for _, c := range all {
		c.done = true
		if err != nil { // what one was told may rest on what another wrote
			c.err = err
		}
	}
}

// try answers which of the changes failed after it had written, or -1.
func (f *fileValues) try(all []*change) (spoilt int, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	tx, err := f.begin(true)
	if err != nil {
		return -1, f.wrote(err)
	}
	to := newFileTx(tx)
	for i, c := range all {
		before := to.writes
		if c.err = to.do(c.work); c.err != nil && to.writes > before {
			return i, errors.Join(c.err, f.end(tx.Rollback))
		}
	}
	if to.writes == 0 {
		return -1, f.end(tx.Rollback)
	}
	return -1, f.wrote(f.end(tx.Commit))
}

func (f *fileValues) end(how func() error) (err error) {
	defer f.giveUp(&err)
	return how()
}

// wrote notes how a write ended.
func (f *fileValues) wrote(err error) error {
	if err != nil {
		err = fmt.Errorf("write the store's file: %w", withErrno(err))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = err
	return err
}

// failing is why the last write failed; nil when it did not.
func (f *fileValues) failing() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failure
}

// isFile tells whether this is the file.
func (f *fileValues) isFile(there os.FileInfo) bool {
	ours, err := f.file.Stat()
	return err == nil && os.SameFile(ours, there)
}

func (f *fileValues) close() error {
	f.turn.Lock()
	defer f.turn.Unlock()
	if f.damaged.Load() != nil {
		return errors.Join(unlock(f.file), f.file.Close()) // the rest ends with the process
	}
	return f.db.Close()
}

// withErrno makes an error of the system one again where bbolt only quotes it.
func withErrno(err error) error {
	for _, full := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if !errors.Is(err, full) && strings.Contains(err.Error(), full.Error()) {
			return quotedErrno{err, full}
		}
	}
	return err
}

type quotedErrno struct {
	error
	errno syscall.Errno
}

func (q quotedErrno) Unwrap() []error { return []error{q.error, q.errno} }
