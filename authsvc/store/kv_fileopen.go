package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// fileLayout is the form of what is in a file. One with another number is not opened.
const fileLayout = 1

// fileMode lets nobody else read the hashes of keys.
const fileMode = 0o600

// lockTime is how long another process may take to let go of a file: one that is being
// replaced needs a moment.
const lockTime = time.Second

// errNoStore is for a file that holds something else, or nothing whole.
var errNoStore = errors.New("it is no store of stile's, or it is damaged; name another file, or restore this one from a dump")

// openFileValues opens a file, which it makes where there is none. What it refuses, it has
// not changed.
func openFileValues(path string) (*fileValues, error) {
	isNew, err := lookAt(path)
	if err != nil {
		return nil, err
	}
	f, err := lockFile(path, false)
	if err != nil {
		return nil, err
	}
	if isNew {
		err = f.db.Update(prepare)
	}
	if err == nil {
		err = f.inspect() // again: another process may have made it just now
	}
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// lookAt holds a file against what can be opened, and makes one where there is none. It
// answers true where one is to be made under the very name, or is there and empty.
func lookAt(path string) (isNew bool, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Readlink(path); err == nil {
			return true, nil
		}
		return makeFile(path)
	case err != nil:
		return false, inWords(err)
	case !info.Mode().IsRegular():
		return false, errors.New("it is no regular file")
	case info.Size() == 0:
		return true, nil
	}
	f, err := lockFile(path, true)
	if err != nil {
		return false, err
	}
	return false, errors.Join(f.inspect(), f.close())
}

// inspect reads what tells our files from others.
func (f *fileValues) inspect() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	return f.view(func(tx reader) error {
		file := tx.(*fileTx).tx
		if file.Size() > info.Size() {
			return fmt.Errorf("%w: %d of its %d bytes are there", errNoStore, info.Size(), file.Size())
		}
		if file.Bucket([]byte(metaBucket)) == nil {
			return fmt.Errorf("%w: another program wrote it", errNoStore)
		}
		switch text, _ := tx.get(metaBucket, layoutKey); {
		case text != strconv.Itoa(fileLayout):
			return fmt.Errorf("its layout is %q and this stile knows layout %d only; "+
				"run the stile that wrote it, or name another file", text, fileLayout)
		default:
			return allThere(file)
		}
	})
}

func allThere(tx *bbolt.Tx) error {
	for _, b := range buckets {
		if tx.Bucket([]byte(b)) == nil {
			return fmt.Errorf("%w: %q is missing in it", errNoStore, b)
		}
	}
	return nil
}

// lockFile opens a file of bbolt that no other process has open, or only reads as we do.
func lockFile(path string, readOnly bool) (f *fileValues, err error) {
	f = &fileValues{}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = errors.Join(fmt.Errorf("%w: %v", errNoStore, p), unlock(f.file), f.file.Close())
		}
	}()
	f.db, err = bbolt.Open(path, fileMode, &bbolt.Options{
		Timeout: lockTime, ReadOnly: readOnly, NoStatistics: true, FreelistType: bbolt.FreelistMapType,
		OpenFile: func(name string, flag int, mode os.FileMode) (file *os.File, err error) {
			f.file, err = os.OpenFile(name, flag, mode)
			return f.file, err
		},
	})
	return f, inWords(err)
}

// inWords says what to do about an error of bbolt's.
func inWords(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return errors.New("it is in use by another process; one stile at a time can have it: stop it, or use Redis")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("stile must be able to read and to write it: %w", err)
	}
	var system syscall.Errno
	if errors.As(err, &system) {
		return err
	}
	return fmt.Errorf("%w: %w", errNoStore, err)
}

// makeFile makes a new file whole before it gets its name, so that a process that is killed
// meanwhile leaves none that cannot be opened. It answers true where the file system has no
// links for that.
func makeFile(path string) (isNew bool, err error) {
	directory := filepath.Dir(path)
	if info, err := os.Stat(directory); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return false, fmt.Errorf("the directory %s is not there: make it, and let stile write to it", directory)
	}
	draft, err := os.CreateTemp(directory, filepath.Base(path)+".new-*") // of mode 0600
	if err != nil {
		return false, inWords(err)
	}
	defer func() { _ = os.Remove(draft.Name()) }()
	if err := draft.Close(); err != nil {
		return false, err
	}
	f, err := lockFile(draft.Name(), false)
	if err != nil {
		return false, err
	}
	if err := errors.Join(f.db.Update(prepare), f.db.Close()); err != nil {
		return false, err
	}
	if err := os.Link(draft.Name(), path); err != nil {
		return !errors.Is(err, fs.ErrExist), nil // another process was faster
	}
	return false, syncDirectory(directory)
}

// syncDirectory makes sure that a new name is on the disk.
func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// prepare writes what inspect reads.
func prepare(tx *bbolt.Tx) error {
	for _, b := range buckets {
		if _, err := tx.CreateBucketIfNotExists([]byte(b)); err != nil {
			return err
		}
	}
	return tx.Bucket([]byte(metaBucket)).Put([]byte(layoutKey), []byte(strconv.Itoa(fileLayout)))
}
