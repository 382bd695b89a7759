package config_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stile-gate/stile/cmd/stile/config"
)

// watched is a file under watch. Read is what changed found there the last time.
type watched struct {
	path  string
	files atomic.Pointer[[]string]
	calls atomic.Int32
	read  atomic.Pointer[string]
}

// watchFiles watches until the test ends.
func watchFiles(t *testing.T, paths ...string) *watched {
	t.Helper()
	w := &watched{path: paths[0]}
	w.files.Store(&paths)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		goleak.VerifyNone(t)
	})
	err := config.Watch(ctx, func() []string { return *w.files.Load() }, func() {
		var all string
		for _, path := range *w.files.Load() {
			data, _ := os.ReadFile(path) // a file that is gone reads as nothing
			all += string(data)
		}
		w.read.Store(&all)
		w.calls.Add(1)
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// sees polls until changed has read the content.
func (w *watched) sees(t *testing.T, want string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		got := w.read.Load()
		if got != nil && *got == want {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("after %d calls, %q was not seen", w.calls.Load(), want)
		case <-look.C:
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) string {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWatchWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stile.yaml")
	write(t, path, "one")
	w := watchFiles(t, path)
	write(t, path, "two")
	w.sees(t, "two")
	write(t, path, "three")
	w.sees(t, "three")
}

// An editor moves the old file away, or a new one into its place.
func TestWatchReplaces(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "stile.yaml")
	write(t, path, "one")
	w := watchFiles(t, path)
	write(t, path+".new", "two")
	rename(t, path+".new", path)
	w.sees(t, "two")
	rename(t, path, path+"~")
	w.sees(t, "")
	write(t, path, "three")
	w.sees(t, "three")
}

// Kubernetes mounts a ConfigMap as links to ..data, which is itself a link that is replaced.
func TestWatchConfigMap(t *testing.T) {
	folder := t.TempDir()
	write(t, mkdir(t, folder+"/..1")+"/stile.yaml", "one")
	symlink(t, "..1", folder+"/..data")
	symlink(t, "..data/stile.yaml", folder+"/stile.yaml")
	w := watchFiles(t, folder+"/stile.yaml")
	for _, version := range []string{"..2", "..3"} {
		write(t, mkdir(t, filepath.Join(folder, version))+"/stile.yaml", "version "+version)
		symlink(t, version, folder+"/..data_tmp")
		rename(t, folder+"/..data_tmp", folder+"/..data")
		w.sees(t, "version "+version)
	}
}

// A link to a file elsewhere is followed.
func TestWatchLink(t *testing.T) {
	target, path := filepath.Join(t.TempDir(), "real"), filepath.Join(t.TempDir(), "stile.yaml")
	write(t, target, "one")
	symlink(t, target, path)
	w := watchFiles(t, path)
	write(t, target, "two")
	w.sees(t, "two")
}

// A configuration can name other files than the one before.
func TestWatchAdoptsFiles(t *testing.T) {
	path, secret := filepath.Join(t.TempDir(), "stile.yaml"), filepath.Join(t.TempDir(), "secret")
	write(t, path, "one ")
	write(t, secret, "a")
	w := watchFiles(t, path)
	w.files.Store(&[]string{path, secret})
	write(t, path, "two ")
	w.sees(t, "two a")
	write(t, secret, "b")
	w.sees(t, "two b")
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	w.sees(t, "two ")
	write(t, secret, "c")
	w.sees(t, "two c")
}

// What changes beside the files, or leaves them as they are, is no reason to load. The
// last write shows that Watch has looked.
func TestWatchIgnoresOthers(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "stile.yaml")
	write(t, path, "one")
	w := watchFiles(t, path)
	for range 3 {
		write(t, folder+"/other", "one")
		rename(t, folder+"/other", path) // at once, lest half of it be seen
		if err := os.Chtimes(path, time.Now(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	write(t, folder+"/other", "two")
	rename(t, folder+"/other", path)
	w.sees(t, "two")
	if n := w.calls.Load(); n != 1 {
		t.Errorf("changed was called %d times, want once", n)
	}
}

// A folder where something happens all the time must not put the look off for ever.
func TestWatchBusyFolder(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "stile.yaml")
	write(t, path, "one")
	w := watchFiles(t, path)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
				_ = os.WriteFile(folder+"/busy", nil, 0o600) // only the noise counts
			}
		}
	}()
	write(t, path, "two")
	w.sees(t, "two")
	close(stop)
	<-stopped
}

func TestWatchCannot(t *testing.T) {
	missing := func() []string { return []string{filepath.Join(t.TempDir(), "no", "stile.yaml")} }
	if err := config.Watch(t.Context(), missing, func() {}); err == nil {
		t.Error("a folder that is not there is watched")
	}
	goleak.VerifyNone(t)
}

// A ${file:…} that was missing at the start is found when it comes.
func TestWatchOfLoaded(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "stile.yaml")
	write(t, path, `keys: { pepper: { version: 1, secret: "${file:pepper}" } }`)
	c, problems := config.Load(path, nil)
	if problems.Err() == nil || !slices.Equal(c.Files, []string{folder + "/pepper"}) {
		t.Fatalf("files %v, problems %v", c.Files, problems)
	}
	w := watchFiles(t, append([]string{path}, c.Files...)...)
	write(t, folder+"/pepper", "0123456789abcdef")
	w.sees(t, `keys: { pepper: { version: 1, secret: "${file:pepper}" } }0123456789abcdef`)
}
