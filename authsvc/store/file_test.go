package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// openFile makes a store in a file of its own.
func openFile(t testing.TB) *store.File {
	t.Helper()
	return openFileAt(t, filepath.Join(t.TempDir(), "stile.db"))
}

// openFileAt opens a store whose clock stands, and holds it against itself in the end.
func openFileAt(t testing.TB, path string) *store.File {
	t.Helper()
	f, err := store.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Now = storetest.Clock
	t.Cleanup(func() { closeFile(t, f) })
	return f
}

// closeFile may be called twice.
func closeFile(t testing.TB, f *store.File) {
	t.Helper()
	if err := f.Ping(context.Background()); err == nil { // else it is closed
		if err := errors.Join(f.Check(), f.CheckPages()); err != nil {
			t.Error(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestFile(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Store { return openFile(t) })
}

func TestFileRevocations(t *testing.T) {
	storetest.RunRevocations(t, func(t testing.TB) storetest.RevocationStore { return openFile(t) })
}

func TestFileAudit(t *testing.T) {
	storetest.RunAudit(t, func(t testing.TB, clients int) (all []storetest.AuditStore) {
		f := openFile(t)
		for range clients {
			all = append(all, f)
		}
		return all
	})
}

func TestFileMeter(t *testing.T) {
	storetest.RunMeters(t, func(t testing.TB) storetest.Meter {
		f := openFile(t)
		f.Now = time.Now
		return f
	})
}
