package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// inspectFile looks at a store in a file, and makes none where there is none.
func inspectFile(ctx context.Context, path string) []Finding {
	f := &fileInspection{path: path, folder: filepath.Dir(path)}
	f.info, f.err = os.Stat(path)
	checks := []check[*fileInspection]{{"file", (*fileInspection).checkFile}}
	if f.isThere() {
		checks = append(checks, []check[*fileInspection]{
			{"permissions", (*fileInspection).checkPermissions},
			{"open", (*fileInspection).checkOpen},
		}...)
	}
	checks = append(checks, []check[*fileInspection]{
		{"write", (*fileInspection).checkWrite},
		{"space", (*fileInspection).checkSpace},
		{"latency", (*fileInspection).checkLatency},
	}...)
	for i, c := range checks {
		checks[i].look = bounded(c.look)
	}
	return inspectAll(ctx, f, "", checks)
}

// bounded does not wait for a disk that hangs. What waits there ends with the process.
func bounded[T any](look func(T, context.Context) Finding) func(T, context.Context) Finding {
	return func(of T, ctx context.Context) Finding {
		found := make(chan Finding, 1)
		go func() { found <- look(of, ctx) }()
		select {
		case f := <-found:
			return f
		case <-ctx.Done():
			return fail("the disk does not answer within "+timeText(lookTime), "see what is wrong with that disk: dmesg")
		}
	}
}

type fileInspection struct {
	path, folder string
	info         fs.FileInfo
	err          error // why there is no info
}

func (f *fileInspection) isThere() bool { return f.err == nil && f.info.Mode().IsRegular() }

// whoami is what to see to when something is not permitted.
const whoami = "run doctor as the user that stile runs as; else chown it to that user"

func (f *fileInspection) checkFile(context.Context) Finding {
	switch {
	case errors.Is(f.err, fs.ErrNotExist):
		return warn("it is not there", "nothing, if stile was never started with it: it makes one. Else bring it back from a copy or a dump")
	case f.err != nil:
		return fail(f.err.Error(), whoami)
	case !f.info.Mode().IsRegular():
		return fail("it is no regular file", "in store: the path of a file")
	}
	return fine("%s, last written %s", sizeText(f.info.Size()), f.info.ModTime().UTC().Format(time.RFC3339))
}

func (f *fileInspection) checkPermissions(context.Context) Finding {
	if mode := f.info.Mode().Perm(); mode&0o077 != 0 {
		return warn(fmt.Sprintf("%04o: others may read it, and with it the hashes of all keys", mode), "chmod 600 "+f.path)
	}
	return fine("%04o", f.info.Mode().Perm())
}

// checkOpen reads what tells our files from others. One that is in use is good enough for the
// stile that uses it.
func (f *fileInspection) checkOpen(context.Context) Finding {
	used, err := inUse(f.path)
	switch {
	case err != nil:
		return fail(err.Error(), whoami)
	case used:
		return fine("in use by a running stile; what is in it cannot be looked at meanwhile")
	case f.info.Size() == 0:
		return warn("it is empty", "nothing, if stile was never started with it. Else bring it back from a copy or a dump")
	}
	values, err := lockFile(f.path, true)
	if err == nil {
		err = errors.Join(values.inspect(), values.close())
	}
	if err != nil {
		return fail(err.Error(), "bring it back from a copy or a dump, or name another file in store")
	}
	return fine("it can be read, and nothing uses it at present")
}

// checkWrite makes a file beside the store's, and opens the store's own for writing, which
// does nothing to it.
func (f *fileInspection) checkWrite(context.Context) Finding {
	probe, err := os.CreateTemp(f.folder, ".stile-doctor-*")
	if errors.Is(err, fs.ErrNotExist) {
		return fail("there is no folder "+f.folder, "mkdir -p "+f.folder+", and let the user that stile runs as write there")
	} else if err != nil {
		return fail(err.Error(), whoami)
	}
	_, err = probe.Write(make([]byte, 4096))
	if err := errors.Join(err, probe.Close(), os.Remove(probe.Name())); err != nil {
		return fail(err.Error(), "make room on that disk, or see what is wrong with it")
	}
	if f.isThere() {
		own, err := os.OpenFile(f.path, os.O_RDWR, 0)
		if err != nil {
			return fail(err.Error(), whoami)
		}
		_ = own.Close()
	}
	return fine("it and its folder can be written by this user (uid %d)", os.Getuid())
}

// From where on a disk is nearly full: a file grows in steps, and needs room to be copied.
const (
	freeLeast   = 1_000_000_000
	freePercent = 10
)

func (f *fileInspection) checkSpace(context.Context) Finding {
	free, all, err := room(f.folder)
	if err != nil {
		return warn("not known: "+err.Error(), "df "+f.folder)
	}
	return judgeSpace(free, all, f.folder)
}

func judgeSpace(free, all float64, folder string) Finding {
	percent := 100 * free / max(all, 1)
	found := fmt.Sprintf("%s free, %.0f %% of the disk", sizeText(int64(free)), percent)
	if free < freeLeast || percent < freePercent {
		return warn(found, "make room: df "+folder)
	}
	return fine("%s", found)
}

// syncHigh is from where on a disk is slow: each write of the admin API waits for it.
const syncHigh = 20 * time.Millisecond

// checkLatency writes as the store does.
func (f *fileInspection) checkLatency(ctx context.Context) Finding {
	probe, err := os.CreateTemp(f.folder, ".stile-doctor-*")
	if err != nil {
		return warn("not known: "+err.Error(), "see write")
	}
	defer func() {
		_ = probe.Close()
		_ = os.Remove(probe.Name())
	}()
	const writes = 20
	var took []time.Duration
	for range writes {
		if ctx.Err() != nil && len(took) > 0 {
			break
		}
		start := time.Now()
		if _, err := probe.Write(make([]byte, 4096)); err != nil {
			return fail(err.Error(), "make room on that disk, or see what is wrong with it")
		}
		if err := probe.Sync(); err != nil {
			return fail("fsync: "+err.Error(), "see what is wrong with that disk: dmesg")
		}
		took = append(took, time.Since(start))
	}
	return judgeSync(took)
}

func judgeSync(took []time.Duration) Finding {
	slices.Sort(took)
	median := took[len(took)/2]
	found := fmt.Sprintf("a write with fsync takes %s, at worst %s of %d", timeText(median), timeText(took[len(took)-1]), len(took))
	if median > syncHigh {
		return warn(found, "a faster disk, or see what else writes to it: iostat -x 1")
	}
	return fine("%s", found)
}
