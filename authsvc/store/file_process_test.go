package store_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

// holdFile has a file until its stdin ends.
func holdFile(path, _ string) error {
	f, err := store.OpenFile(path)
	if err != nil {
		return err
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return f.Close()
}

func TestFileOfAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stile.db")
	c := startChild(t, "hold", "-", path)
	if said := c.line(); said != "open" {
		t.Fatal(said)
	}
	start := time.Now()
	_, err := store.OpenFile(path)
	if err == nil || !strings.Contains(err.Error(), inUse) {
		t.Errorf("in use: %v", err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %v to say so", took)
	}
	check(t, c.in.Close()) // it lets go while the next one is waiting already
	closeFile(t, openFileAt(t, path))
}

const spentPerSecond = 200

// spendOn spends from a quota, and says so, until it is killed.
func spendOn(path, _ string) error {
	f, err := store.OpenFile(path)
	if err != nil {
		return err
	}
	tick := time.NewTicker(time.Second / spentPerSecond)
	for range tick.C {
		balances, err := f.Spend(context.Background(), []policy.Charge{storetest.Charge(storetest.Yearly("q", 1<<30))})
		if err != nil {
			return err
		}
		fmt.Println(balances[0].Remaining)
	}
	return nil
}

// What was spent more than about a second ago outlives the process.
func TestFileKilledWhileSpending(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stile.db")
	c := startChild(t, "spend", "-", path)
	defer time.AfterFunc(2500*time.Millisecond, c.shoot).Stop()
	spent := int64(0)
	for c.line() != "" {
		spent++
	}
	c.kill()
	f := openFileAt(t, path)
	f.Now = time.Now
	balances, err := f.Peek(t.Context(), []policy.Charge{storetest.Charge(storetest.Yearly("q", 1<<30))})
	check(t, err)
	kept := 1<<30 - 1 - balances[0].Remaining // which one more would leave
	if spent < spentPerSecond || spent-kept > 3*spentPerSecond/2 || kept > spent+1 {
		t.Errorf("of %d that were spent %d are there", spent, kept)
	}
}
