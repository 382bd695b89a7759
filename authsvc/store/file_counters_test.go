package store_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

// timedFile is a File whose clock is moved.
func timedFile(t *testing.T, path string, c *clock) *store.File {
	t.Helper()
	f := openFileAt(t, path)
	f.Now = c.now
	return f
}

func rate(name string, burst int64, each time.Duration) policy.Charge {
	return storetest.Charge(&policy.Limit{Name: name, Rate: policy.Rate{Count: 1, Period: each, Burst: burst}})
}

// Counters that end soon are not written, and those that have ended go.
func TestFileKeepsCounters(t *testing.T) {
	path, c := filepath.Join(t.TempDir(), "stile.db"), &clock{}
	f := timedFile(t, path, c)
	want := func(names ...string) {
		t.Helper()
		check(t, f.SaveCounters())
		got := f.Names("counters")
		if fmt.Sprint(got) != fmt.Sprint(names) {
			t.Errorf("the file has %v, want %v", got, names)
		}
	}
	want()
	storetest.Spend(t, f, rate("brief", 3, time.Second), rate("long", 3, time.Minute))
	want("stile:{c:acme}:limit:long")
	storetest.Spend(t, f, rate("brief", 3, time.Second))
	storetest.Spend(t, f, rate("grows", 9, 2*time.Second), rate("grows", 9, 2*time.Second))
	want("stile:{c:acme}:limit:long")
	storetest.Spend(t, f, rate("grows", 9, 2*time.Second))
	want("stile:{c:acme}:limit:grows", "stile:{c:acme}:limit:long")
	c.move(62 * time.Second)
	want("stile:{c:acme}:limit:grows", "stile:{c:acme}:limit:long") // nobody has counted since
	storetest.Spend(t, f, storetest.Charge(storetest.Yearly("q", 9)))
	want("stile:{c:acme}:quota:q:1767225600")

	closeFile(t, f)
	f = timedFile(t, path, c)
	balances, _ := storetest.Spend(t, f, storetest.Charge(storetest.Yearly("q", 9)), rate("long", 3, time.Minute))
	if balances[0].Remaining != 7 || balances[1].Remaining != 2 {
		t.Errorf("reopened: %+v", balances)
	}
}

// A clock that is set back gives nothing away, also when the process starts again.
func TestFileClockSetBack(t *testing.T) {
	path, c := filepath.Join(t.TempDir(), "stile.db"), &clock{}
	f := timedFile(t, path, c)
	full := rate("l", 3, 10*time.Second)
	for range 3 {
		storetest.Spend(t, f, full)
	}
	closeFile(t, f)
	c.move(-24 * time.Hour)
	f = timedFile(t, path, c)
	if balances, ok := storetest.Spend(t, f, full); ok {
		t.Errorf("spent more than there is: %+v", balances)
	}
	closeFile(t, f)
	c.move(30 * time.Second)
	f = timedFile(t, path, c)
	if balances, _ := storetest.Spend(t, f, full); balances[0].Remaining != 2 {
		t.Errorf("locked out by a day: %+v", balances)
	}
}

// What is spent is written once a second, without Close.
func TestFileSavesCounters(t *testing.T) {
	f := openFile(t)
	f.Now = time.Now
	storetest.Spend(t, f, storetest.Charge(storetest.Yearly("q", 9)))
	storetest.Eventually(t, "it is written", func() bool { return len(f.Names("counters")) == 1 })
}

func TestFileBoundsCounters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stile.db")
	f := openFileAt(t, path)
	charge := storetest.Charge(storetest.Yearly("q", 9))
	for i := range 140_000 {
		charge.Slot = fmt.Sprint("c:", i)
		storetest.Spend(t, f, charge)
	}
	storetest.Eventually(t, "as many are kept as there is room for", func() bool { // some are written meanwhile
		check(t, f.SaveCounters())
		return len(f.Names("counters")) == 1<<17
	})
	check(t, f.Close())
	start := time.Now()
	f = openFileAt(t, path)
	if took := time.Since(start); took > time.Second && !raced {
		t.Errorf("opened in %v", took)
	}
	charge.Slot = "c:139999"
	if balances, _ := storetest.Spend(t, f, charge); balances[0].Remaining != 7 {
		t.Errorf("the last one: %+v", balances)
	}
}
