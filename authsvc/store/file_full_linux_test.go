package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

func init() { children["fill"] = fillUp }

// A disk that is full fails writes as a whole and nothing else, and when there is room again
// they succeed without a restart.
func TestFileOnFullDisk(t *testing.T) {
	t.Run("limit", func(t *testing.T) { mustFillUp(t, "limit", nil) })
	t.Run("disk", func(t *testing.T) {
		own := &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, // so that anybody can mount what nobody else sees
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
		try := exec.Command("true")
		try.SysProcAttr = own
		if err := try.Run(); err != nil {
			t.Skipf("this machine lets no user have namespaces: %v", err)
		}
		mustFillUp(t, "disk", own)
	})
}

func mustFillUp(t *testing.T, how string, own *syscall.SysProcAttr) {
	c := startChild(t, "fill", how, filepath.Join(t.TempDir(), "stile.db"), func(cmd *exec.Cmd) { cmd.SysProcAttr = own })
	if said := c.line(); said != "ok" {
		t.Error(said)
	}
}

// fillUp says ok when all is as it should be.
func fillUp(path, how string) error {
	if how == "disk" {
		if err := syscall.Mount("none", filepath.Dir(path), "tmpfs", 0, "size=4m"); err != nil {
			return err
		}
	}
	f, err := store.OpenFile(path)
	if err != nil {
		return err
	}
	f.Now = storetest.Clock
	confine := limitSize
	if how == "disk" {
		confine = fillDisk
	}
	full, makeRoom, err := confine(path)
	if err != nil {
		return err
	}
	answered, err := createUntil(f, full)
	if err == nil {
		err = errors.Join(spendMuch(f, full), f.Check(), thereAre(f, answered), makeRoom())
	}
	if err == nil {
		err = recovers(f, answered)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if f, err = store.OpenFile(path); err != nil {
		return err
	}
	if counters := len(f.Names("counters")); counters != manyCounters {
		return fmt.Errorf("%d counters are there", counters)
	}
	if err := errors.Join(f.Check(), f.CheckPages(), thereAre(f, answered+1), f.Close()); err != nil {
		return err
	}
	fmt.Println("ok")
	return nil
}

// limitSize bounds the size of the files that this process writes.
func limitSize(path string) (full error, makeRoom func() error, err error) {
	signal.Ignore(syscall.SIGXFSZ)
	var was syscall.Rlimit
	info, err := os.Stat(path)
	if err := errors.Join(err, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was)); err != nil {
		return nil, nil, err
	}
	now := was
	now.Cur = uint64(info.Size()) + 256<<10
	makeRoom = func() error { return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was) }
	return syscall.EFBIG, makeRoom, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &now)
}

// fillDisk leaves little room on the disk.
func fillDisk(path string) (full error, makeRoom func() error, err error) {
	ballast := filepath.Join(filepath.Dir(path), "ballast")
	makeRoom = func() error { return os.Remove(ballast) }
	return syscall.ENOSPC, makeRoom, os.WriteFile(ballast, make([]byte, 7<<19), 0o600)
}

// createUntil creates consumers until there is no room, for Ping neither, and answers how many.
func createUntil(f *store.File, full error) (created int, err error) {
	for range 100_000 {
		_, err := f.CreateConsumer(context.Background(), storetest.Consumer(fmt.Sprint("c", created)))
		if err == nil {
			created++
			continue
		}
		if !errors.Is(err, full) {
			return 0, fmt.Errorf("after %d: %w, want %w", created, err, full)
		}
		if err := f.Ping(context.Background()); err == nil || !errors.Is(err, full) {
			continue // a few pages are free in the file
		}
		return created, nil
	}
	return 0, errors.New("there is room without end")
}

const manyCounters = 5000

// spendMuch spends from more counters than there is room for.
func spendMuch(f *store.File, full error) error {
	charge := storetest.Charge(storetest.Yearly("q", 9))
	for i := range manyCounters {
		charge.Slot = fmt.Sprint("c:", i)
		if _, err := f.Spend(context.Background(), []policy.Charge{charge}); err != nil {
			return err
		}
	}
	if err := f.SaveCounters(); !errors.Is(err, full) {
		return fmt.Errorf("saving counters: %w, want %w", err, full)
	}
	return want(f.Ping(context.Background()), full)
}

func thereAre(f *store.File, created int) error {
	list, err := f.Consumers(context.Background(), "", 1<<20)
	if err != nil || len(list) != created {
		return fmt.Errorf("%d consumers of %d are there, %w", len(list), created, err)
	}
	return nil
}

// recovers waits for Ping to find out that there is room, and writes.
func recovers(f *store.File, created int) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(5 * time.Second); ; <-tick.C {
		err := f.Ping(context.Background())
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("there is room, and Ping says: %w", err)
		}
	}
	_, err := f.CreateConsumer(context.Background(), storetest.Consumer(fmt.Sprint("c", created)))
	return err
}
