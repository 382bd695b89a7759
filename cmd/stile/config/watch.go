package config

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// debounce is how long folders must be left alone before files are looked at, because
	// an editor writes in several steps; patience is how long to wait for that.
	debounce = 100 * time.Millisecond
	patience = time.Second
	// look is how often files are looked at without being told, for what the kernel does
	// not tell: network file systems, a folder replaced as a whole, links farther up.
	look = 30 * time.Second
)

// Watch calls changed when the content of a file is another, until the context ends; it
// returns once it watches. Files lists the paths: that of the configuration and the Files
// of the one in use. It is asked again after each call of changed. Both are called one at
// a time, on a goroutine of Watch's own, after it has returned.
func Watch(ctx context.Context, files func() []string, changed func()) error {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("cannot watch files: %w", err)
	}
	w := &watch{notify: notify, files: files()}
	if err := w.follow(); err != nil {
		_ = notify.Close() // the first error counts
		return fmt.Errorf("cannot watch files: %w", err)
	}
	w.seen = contents(w.files)
	go w.run(ctx, files, changed)
	return nil
}

type digest = [sha256.Size]byte

type watch struct {
	notify *fsnotify.Watcher
	files  []string
	seen   map[string]digest // by path; a file that cannot be read has none
}

// follow has the kernel tell of the folders that hold the files, and of those that links
// lead to. Folders, because a file that is replaced by another is not told of itself; in
// Kubernetes a link beside it is what changes.
func (w *watch) follow() error {
	wanted := map[string]bool{}
	for _, path := range w.files {
		wanted[filepath.Dir(path)] = true
		if target, err := filepath.EvalSymlinks(path); err == nil {
			wanted[filepath.Dir(target)] = true
		}
	}
	for _, folder := range w.notify.WatchList() {
		if !wanted[folder] {
			_ = w.notify.Remove(folder) // it may be gone, which is as good
		}
	}
	var errs []error
	for folder := range wanted {
		errs = append(errs, w.notify.Add(folder))
	}
	return errors.Join(errs...)
}

// contents reads files. What else changes in their folders means nothing to us, so only
// content tells.
func contents(files []string) map[string]digest {
	sums := map[string]digest{}
	for _, path := range files {
		if data, err := readFile(path, maxFile); err == nil {
			sums[path] = sha256.Sum256(data)
		}
	}
	return sums
}

func (w *watch) run(ctx context.Context, files func() []string, changed func()) {
	defer func() { _ = w.notify.Close() }() // nothing is left to lose
	quiet := time.NewTimer(look)
	defer quiet.Stop()
	var latest time.Time // to look, once something was told
	told := func() {
		if latest.IsZero() {
			latest = time.Now().Add(patience)
		}
		quiet.Reset(min(debounce, time.Until(latest)))
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.notify.Events:
			told()
		case err := <-w.notify.Errors: // some were lost, whichever; so look
			_ = err
			told()
		case <-quiet.C:
			latest = time.Time{}
			w.look(files, changed)
			quiet.Reset(look)
		}
	}
}

// look calls changed if need be.
func (w *watch) look(files func() []string, changed func()) {
	if now := contents(w.files); !maps.Equal(now, w.seen) {
		w.seen = now
		changed()
		w.adopt(files())
	}
	_ = w.follow() // a folder that is missing now may come back
}

// adopt goes on with the files of the configuration that is in use now. What it was made
// of counts as seen; a file that changed meanwhile is found the next time.
func (w *watch) adopt(files []string) {
	for path, sum := range contents(files) {
		if !slices.Contains(w.files, path) {
			w.seen[path] = sum
		}
	}
	maps.DeleteFunc(w.seen, func(path string, _ digest) bool { return !slices.Contains(files, path) })
	w.files = files
}
