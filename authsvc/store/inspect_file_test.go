package store_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-gate/stile/authsvc/store"
)

func TestInspectFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "stile.db")
	in := inspect(t, "file:"+path)
	wantNoFail(t, in)
	wantFinding(t, in, "file", store.LevelWarn, "not there", "makes one")
	wantFinding(t, in, "write", store.LevelOK)

	f, err := store.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	in = inspect(t, "file://"+path)
	wantNoFail(t, in)
	wantFinding(t, in, "open", store.LevelOK, "in use by a running stile")
	if took := time.Since(start); took > time.Second {
		t.Errorf("it waited for the stile that runs: %v", took)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	in = inspect(t, "file:"+path)
	wantNoFail(t, in)
	for name, word := range map[string]string{"file": "B, last written", "permissions": "0600", "open": "nothing uses it", "write": "can be written by this user"} {
		wantFinding(t, in, name, store.LevelOK, word)
	}
	wantFinding(t, in, "latency", inLevel(in, "latency"), "a write with fsync takes")
	wantFinding(t, in, "space", inLevel(in, "space"), "free")
	if in.Store != "file:"+path {
		t.Errorf("the store is shown as %q", in.Store)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error("the file was changed")
	}
	if all, err := os.ReadDir(folder); err != nil || len(all) != 1 {
		t.Errorf("left behind: %v, %v", all, err)
	}
}

// inLevel is the level of a check whose outcome depends on the machine.
func inLevel(in store.Inspection, name string) store.Level {
	for _, f := range in.Checks {
		if f.Name == name {
			return f.Level
		}
	}
	return ""
}

func TestInspectFileFaults(t *testing.T) {
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	if err := os.WriteFile(at("other"), make([]byte, 64<<10), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("empty"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantFinding(t, inspect(t, "file:"+at("other")), "permissions", store.LevelWarn, "0644: others may read it", "chmod 600 "+at("other"))
	wantFinding(t, inspect(t, "file:"+at("other")), "open", store.LevelFail, "no store of stile's", "dump")
	wantFinding(t, inspect(t, "file:"+at("empty")), "open", store.LevelWarn, "it is empty")
	wantFinding(t, inspect(t, "file:"+folder), "file", store.LevelFail, "no regular file")
	wantFinding(t, inspect(t, "file:"+at("none/stile.db")), "write", store.LevelFail, "no folder "+at("none"), "mkdir -p "+at("none"))
	wantFinding(t, inspect(t, "file:"+at("other/stile.db")), "file", store.LevelFail, "not a directory")
	if os.Getuid() == 0 {
		return // who may do everything
	}
	if err := os.Chmod(folder, 0o500); err != nil {
		t.Fatal(err)
	}
	wantFinding(t, inspect(t, "file:"+at("new")), "write", store.LevelFail, "permission denied", "the user that stile runs as")
}
