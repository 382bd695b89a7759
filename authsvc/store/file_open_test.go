package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// boltFile is a file of bbolt with one bucket and a value in it.
func boltFile(t *testing.T, path string, o *bbolt.Options, name, key, value string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(name))
		if err != nil {
			return err
		}
		return b.Put([]byte(key), []byte(value))
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// storeFile is a store's with something in it.
func storeFile(t testing.TB, path string) {
	t.Helper()
	f, err := store.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	loadAll(t, f, many(0, 300), 600)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenFileRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(t *testing.T, path string)
		want string
	}{
		"a text":      {func(t *testing.T, path string) { writeFile(t, path, []byte("store: memory:\n")) }, "no store of stile's"},
		"a long text": {func(t *testing.T, path string) { writeFile(t, path, bytes.Repeat([]byte("text\n"), 20_000)) }, "no store of stile's"},
		"zeros":       {func(t *testing.T, path string) { writeFile(t, path, make([]byte, 1<<20)) }, "no store of stile's"},
		"a directory": {func(t *testing.T, path string) { check(t, os.Mkdir(path, 0o700)) }, "no regular file"},
		"of another":  {func(t *testing.T, path string) { boltFile(t, path, nil, "key", "a", "b") }, "another program wrote it"},
		"like etcd's": {func(t *testing.T, path string) {
			boltFile(t, path, &bbolt.Options{NoFreelistSync: true}, "key", "a", "b")
		}, "another program wrote it"},
		"of the future": {func(t *testing.T, path string) {
			storeFile(t, path)
			boltFile(t, path, nil, "stile", "layout", "2")
		}, `its layout is "2" and this stile knows layout 1 only; run the stile that wrote it`},
		"without a part": {func(t *testing.T, path string) { boltFile(t, path, nil, "stile", "layout", "1") }, `"consumers" is missing in it`},
		"cut short":      {func(t *testing.T, path string) { storeFile(t, path); cut(t, path, 2) }, "bytes are there"},
		"cut to a page":  {func(t *testing.T, path string) { storeFile(t, path); check(t, os.Truncate(path, 4096)) }, "no store of stile's"},
		"cut to 2 pages": {func(t *testing.T, path string) { storeFile(t, path); check(t, os.Truncate(path, 8192)) }, "bytes are there"},
		"without heads":  {func(t *testing.T, path string) { storeFile(t, path); scribble(t, path, 0, 8192) }, "no store of stile's"},
		"without a root": {func(t *testing.T, path string) { storeFile(t, path); scribble(t, path, 8192, 1<<30) }, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "stile.db")
			tt.make(t, path)
			before, _ := os.ReadFile(path) // none of a directory
			f, err := store.OpenFile(path)
			if err == nil {
				_ = f.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v, want %q and the path", err, tt.want)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("it was changed")
			}
			if left, _ := filepath.Glob(path + "?*"); len(left) > 0 {
				t.Errorf("it left %v", left)
			}
		})
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeFile(t testing.TB, path string, text []byte) {
	t.Helper()
	check(t, os.WriteFile(path, text, 0o600))
}

// cut leaves a part of a file.
func cut(t *testing.T, path string, part int64) {
	t.Helper()
	info, err := os.Stat(path)
	check(t, err)
	check(t, os.Truncate(path, info.Size()/part))
}

// scribble overwrites a file from one byte up to another.
func scribble(t *testing.T, path string, from, to int) {
	t.Helper()
	text, err := os.ReadFile(path)
	check(t, err)
	for i := from; i < min(to, len(text)); i++ {
		text[i] = byte(i * 7)
	}
	writeFile(t, path, text)
}

func TestOpenFileNowhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "stile.db")
	if _, err := store.OpenFile(path); err == nil || !strings.Contains(err.Error(), "directory "+filepath.Dir(path)+" is not there") {
		t.Errorf("no directory: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, nil)
	if _, err := store.OpenFile(filepath.Join(file, "stile.db")); err == nil {
		t.Error("in a file")
	}
}

func TestOpenFileNotAllowed(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may do everything")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "stile.db")
	storeFile(t, path)
	check(t, os.Chmod(path, 0o400))
	if _, err := store.OpenFile(path); err == nil || !strings.Contains(err.Error(), "able to read and to write it") {
		t.Errorf("a file to read only: %v", err)
	}
	check(t, os.Chmod(dir, 0o500))
	defer func() { _ = os.Chmod(dir, 0o700) }()
	if _, err := store.OpenFile(filepath.Join(dir, "other.db")); err == nil || !strings.Contains(err.Error(), "able to read and to write it") {
		t.Errorf("a directory to read only: %v", err)
	}
}

// A file that is made, one that somebody has put there empty, and a link to where none is.
func TestOpenFileMakes(t *testing.T) {
	dir := t.TempDir()
	empty, link := filepath.Join(dir, "empty"), filepath.Join(dir, "link")
	writeFile(t, empty, nil)
	check(t, os.Symlink(filepath.Join(dir, "behind"), link))
	for _, path := range []string{filepath.Join(dir, "new"), empty, link} {
		for range 2 {
			closeFile(t, openFileAt(t, path))
		}
		info, err := os.Stat(path)
		check(t, err)
		if info.Mode() != 0o600 {
			t.Errorf("%s is of mode %v", path, info.Mode())
		}
	}
	if left, err := fs.Glob(os.DirFS(dir), "*.new-*"); len(left) > 0 || err != nil {
		t.Errorf("%v are left, %v", left, err)
	}
}

// Whoever comes second in the same process is refused as any other.
func TestOpenFileTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stile.db")
	first := openFileAt(t, path)
	start := time.Now()
	_, err := store.OpenFile(path)
	if err == nil || !strings.Contains(err.Error(), inUse) {
		t.Errorf("in use: %v", err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %v to say so", took)
	}
	check(t, first.Ping(t.Context()))
	closeFile(t, first)
	closeFile(t, openFileAt(t, path))
}

const inUse = "stile.db: it is in use by another process; one stile at a time can have it: stop it, or use Redis"

// While it runs, somebody takes the file away.
func TestFileIsTakenAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stile.db")
	f := openFileAt(t, path)
	check(t, os.Rename(path, path+".old"))
	if err := f.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "deleted or replaced") {
		t.Errorf("taken away: %v", err)
	}
	storeFile(t, path)
	if err := f.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "deleted or replaced") {
		t.Errorf("another in its place: %v", err)
	}
	check(t, os.Rename(path+".old", path))
	check(t, f.Ping(t.Context()))
}

// What is wrong deep in a file is an error, whatever is asked for, and never the end of the
// process.
func TestFileDamaged(t *testing.T) {
	if raced {
		t.Skip("the race detector's own checks of pointers end the process before they can fault")
	}
	path := filepath.Join(t.TempDir(), "stile.db")
	storeFile(t, path)
	whole, err := os.ReadFile(path)
	check(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	pages, opened, failed := len(whole)/pageSize, 0, 0
	for page := 2; page < pages; page += 2 {
		damaged := bytes.Clone(whole)
		from := []int{0, 8, 10, 16, 64}[page%5] // its number, kind, count and elements
		for range 1 << random.IntN(8) {
			damaged[page*pageSize+from+random.IntN(pageSize-from)>>random.IntN(4)] ^= byte(1 << random.IntN(8))
		}
		writeFile(t, path, damaged)
		f, err := store.OpenFile(path)
		if err != nil {
			continue
		}
		f.Now = storetest.Clock
		opened++
		if useAll(t, f) != nil {
			failed++
		}
		_ = f.Close() // fails where bbolt gave up, and lets go of it
	}
	if failed == 0 || failed == opened {
		t.Errorf("of %d with a damaged page %d were opened, %d of them failed then", pages, opened, failed)
	}
}

const pageSize = 4096

// useAll does much with what storeFile made, whatever fails.
func useAll(t *testing.T, f *store.File) error {
	ctx := t.Context()
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	note(f.Dump(ctx, func(store.Record) error { return nil }))
	for i, r := range many(0, 300)[300:] {
		_, err := f.Credential(ctx, r.Key.Hash)
		note(err)
		_, err = f.Key(ctx, r.Key.ID)
		note(err)
		if i%100 == 0 {
			_, err = f.UpdateKey(ctx, *r.Key)
			note(err)
			note(f.DeleteConsumer(ctx, r.Key.Consumer))
		}
	}
	_, err := f.Keys(ctx, "", "", 1000)
	note(err)
	_, err = f.AppendAudit(ctx, store.AuditRecord{Action: "key.create"})
	note(err)
	note(f.Ping(ctx))
	return errors.Join(errs...)
}
