package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

// records are all that a store tells, counters in the order of their names.
func records(t *testing.T, s store.Dumper) (all []store.Record) {
	t.Helper()
	check(t, s.Dump(t.Context(), func(r store.Record) error {
		all = append(all, r)
		return nil
	}))
	slices.SortStableFunc(all, func(a, b store.Record) int {
		if a.Counter == nil || b.Counter == nil {
			return 0
		}
		return strings.Compare(a.Counter.Name, b.Counter.Name)
	})
	return all
}

// fillBooks leaves something of everything.
func fillBooks(t *testing.T, f *store.File) {
	t.Helper()
	for _, id := range []string{"r0", "r1", "r2"} {
		for step := range lifeSteps {
			check(t, live(f, id, step))
		}
	}
	charges := []policy.Charge{storetest.Charge(storetest.Slow("burst", 9)), storetest.Charge(storetest.Yearly("yearly", 9))}
	for range 3 {
		storetest.Spend(t, f, charges...)
	}
}

func TestFileReopened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stile.db")
	f := openFileAt(t, path)
	fillBooks(t, f)
	want := records(t, f)
	for range 3 {
		closeFile(t, f)
		f = openFileAt(t, path)
		if diff := cmp.Diff(want, records(t, f), sameFacts); diff != "" {
			t.Errorf("reopened (-want +got):\n%s", diff)
		}
	}
	kinds := map[bool]int{}
	for _, r := range want {
		kinds[r.Counter != nil]++
	}
	if kinds[true] != 2 || kinds[false] != 2+1+3+3 {
		t.Errorf("told of %v records", kinds)
	}
	balances, _ := storetest.Spend(t, f, storetest.Charge(storetest.Yearly("yearly", 9)))
	if balances[0].Remaining != 5 {
		t.Errorf("spent 3 before and 1 after: %+v", balances[0])
	}
	again, err := f.CreateConsumer(t.Context(), storetest.Consumer("r0")) // which was deleted, with version 2
	if err != nil || again.Version != 3 {
		t.Errorf("%+v, %v: a version that was read before the deletion would pass", again, err)
	}
	if _, err := f.AppendAudit(t.Context(), store.AuditRecord{Action: "x"}); err != nil {
		t.Error(err)
	}
}

func TestFileClosed(t *testing.T) {
	f := openFile(t)
	closeFile(t, f)
	closeFile(t, f)
	_, err := f.Consumer(t.Context(), "acme")
	if err == nil || f.Ping(t.Context()) == nil || f.MarkUsed(t.Context(), []store.Use{{}}) == nil {
		t.Errorf("%v of a closed one", err)
	}
}

func TestFileObserve(t *testing.T) {
	f := openFile(t)
	var ops []string
	f.Observe = func(op string, took time.Duration, err error) {
		if err != nil {
			op += " failed"
		}
		if took <= 0 {
			op += " in no time"
		}
		ops = append(ops, op)
	}
	exercise := func() {
		ctx := t.Context()
		_ = f.Ping(ctx)
		_, _ = f.CreateConsumer(ctx, storetest.Consumer("acme"))
		_, _ = f.CreateConsumer(ctx, storetest.Consumer("acme")) // exists
		_, _ = f.CreateConsumer(ctx, storetest.Consumer("a b"))  // invalid, and nothing was asked
		_, _ = f.UpdateConsumer(ctx, store.Consumer{Consumer: policy.Consumer{ID: "acme"}, Version: 9})
		_, _ = f.Consumer(ctx, "acme")
		_, _ = f.Consumers(ctx, "", 0)
		_ = f.CreateKey(ctx, storetest.Key("k1", "acme"))
		_, _ = f.Credential(ctx, storetest.Hash("k1"))
		_, _ = f.Key(ctx, "k1")
		_, _ = f.Keys(ctx, "acme", "", 0)
		_ = f.RevokeKey(ctx, "k1")
		_ = f.DeleteConsumer(ctx, "none")
		_, _ = f.Spend(ctx, []policy.Charge{storetest.Charge(storetest.Yearly("q", 9))}) // asks nobody
		_ = f.SaveCounters()
	}
	names := strings.Fields("ping create_consumer create_consumer update_consumer consumer consumers create_key credential key keys revoke_key delete_consumer save_counters")
	exercise()
	if diff := cmp.Diff(names, ops); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
	check(t, f.Close())
	ops = nil
	exercise()
	for i := range names {
		names[i] += " failed"
	}
	if diff := cmp.Diff(names, ops); diff != "" {
		t.Errorf("observed of a closed one (-want +got):\n%s", diff)
	}
}

// A write goes on when whoever asked for it goes away, and does not begin when nobody waits.
func TestFileCallerIsGone(t *testing.T) {
	f := openFile(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.CreateConsumer(ctx, storetest.Consumer("acme")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if c, err := f.Consumer(t.Context(), "acme"); c != nil || err != nil {
		t.Errorf("%+v, %v", c, err)
	}
}

// Opening does not take longer with more in it, nor does a page or the end of a consumer.
func TestFileOpensFast(t *testing.T) {
	path, consumers := filepath.Join(t.TempDir(), "stile.db"), 100_000
	if raced {
		consumers /= 10
	}
	f, err := store.OpenFile(path)
	check(t, err)
	start := time.Now()
	loadAll(t, f, many(0, consumers), 5000)
	t.Logf("%d consumers with a key each loaded in %v", consumers, time.Since(start))
	check(t, f.Close())

	quick := func(what string, most time.Duration, do func() error) {
		t.Helper()
		start := time.Now()
		err := do()
		if took := time.Since(start); took > most || err != nil {
			t.Errorf("%s took %v: %v", what, took, err)
		} else {
			t.Logf("%s took %v", what, took)
		}
	}
	quick("to open it", time.Second, func() (err error) { f, err = store.OpenFile(path); return err })
	defer func() { check(t, f.Close()) }()
	quick("a credential", 100*time.Millisecond, func() error {
		found, err := f.Credential(t.Context(), storetest.Hash(fmt.Sprintf("k%06d", consumers-1)))
		if found == nil {
			err = errors.Join(err, store.ErrNotFound)
		}
		return err
	})
	quick("a page of consumers", 200*time.Millisecond, func() error { _, err := f.Consumers(t.Context(), "c005000", 100); return err })
	quick("a page of keys", 200*time.Millisecond, func() error { _, err := f.Keys(t.Context(), "", "k005000", 100); return err })
	quick("to delete a consumer", 500*time.Millisecond, func() error { return f.DeleteConsumer(t.Context(), "c005000") })
}
