package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// File is a store in one file of this machine, for one process at a time. What was answered
// is on the disk, and stays there whatever becomes of the process; writes that come at the
// same time share an fsync.
//
// The counters of limits are in memory, and written once a second: a process that is killed
// forgets what was spent in about its last second, as Redis does with appendfsync everysec.
// Those that end within a few seconds are not written at all.
//
// The disk must be a local one: a network's locks and its idea of an fsync are its own.
type File struct {
	// Observe, when it is set, hears of every operation that asked the file. Its err is nil
	// when it answered, whatever the answer. Set it before the first use.
	Observe func(op string, took time.Duration, err error)
	// Now is the clock; set it before the first use.
	Now func() time.Time

	embedded
	path  string
	file  *fileValues
	saver counterSaver

	closing sync.Once
	stop    chan struct{}
	stopped chan struct{}

	mu    sync.Mutex
	tried time.Time // when Ping tried to write
}

// OpenFile opens a store's file, or makes one, of mode 0600, in a directory that is there.
// The error says what is wrong with it and what to do: when another process has it, when it
// is no store's, damaged, or of another version, and when it cannot be read and written. What
// is refused was not changed. The store is to be closed.
func OpenFile(path string) (*File, error) {
	values, err := openFileValues(path)
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	f := &File{Now: time.Now, path: path, file: values, stop: make(chan struct{}), stopped: make(chan struct{})}
	f.values = values
	f.clock = func() time.Time { return f.Now() }
	f.heard = func(op string, took time.Duration, err error) {
		if f.Observe != nil {
			f.Observe(op, took, err)
		}
	}
	f.saver.store = &f.embedded
	f.keep = f.saver.save
	if err := f.saver.restore(); err != nil {
		return nil, fmt.Errorf("store: %s: %w", path, errors.Join(err, values.close()))
	}
	go f.saveCounters()
	return f, nil
}

// saveInterval is how much of what was spent a process forgets that is killed.
const saveInterval = time.Second

func (f *File) saveCounters() {
	defer close(f.stopped)
	tick := time.NewTicker(saveInterval)
	defer tick.Stop()
	for {
		select {
		case <-f.stop:
			return
		case <-tick.C:
			_ = f.saver.save() // Ping tells of it, and so does Observe; the next one writes the same
		}
	}
}

// Close writes the counters and lets go of the file. Operations fail from then on.
func (f *File) Close() (err error) {
	f.closing.Do(func() {
		close(f.stop)
		<-f.stopped
		err = errors.Join(f.saver.save(), f.values.close())
	})
	return err
}

// Ping tells whether the file can be read and written, as far as is known: after a write
// that failed it tries one itself, every half a second.
func (f *File) Ping(context.Context) (err error) {
	defer f.observe("ping", time.Now(), &err)
	if err := f.values.view(func(reader) error { return nil }); err != nil {
		return err
	}
	if there, err := os.Stat(f.path); err != nil || !f.file.isFile(there) {
		return fmt.Errorf("the store's file %s was deleted or replaced; what is written now is lost when stile ends", f.path)
	}
	failure := f.file.failing()
	if failure == nil || !f.mayTry() {
		return failure
	}
	return f.values.update(takeRoom)
}

// tryInterval is how often Ping tries to write.
const tryInterval = 500 * time.Millisecond

func (f *File) mayTry() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if now.Sub(f.tried) < tryInterval {
		return false
	}
	f.tried = now
	return true
}

// takeRoom writes more than most writes do. A full disk has room for a few pages that the
// file has free.
func takeRoom(tx writer) error {
	tx.put(metaBucket, roomKey, string(make([]byte, 32<<10)))
	return nil
}
