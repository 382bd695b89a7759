package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
)

// AuditStore is a store as far as the audit goes.
type AuditStore interface {
	AppendAudit(context.Context, store.AuditRecord) (store.AuditEntry, error)
	AuditEntries(ctx context.Context, after int64, limit int) ([]store.AuditEntry, error)
	AuditHead(context.Context) (store.AuditHead, error)
}

// RunAudit tests the stores that open makes. It makes several clients of one store, which
// must be empty and go by Clock.
func RunAudit(t *testing.T, open func(t testing.TB, clients int) []AuditStore) {
	t.Run("append", func(t *testing.T) { testAuditAppend(t, open(t, 1)[0]) })
	t.Run("pages", func(t *testing.T) { testAuditPages(t, open(t, 1)[0]) })
	t.Run("concurrent", func(t *testing.T) { testAuditConcurrent(t, open(t, 4)) })
	t.Run("verify", func(t *testing.T) { testAuditVerify(t, open(t, 1)[0]) })
}

func auditRecord(i int) store.AuditRecord {
	return store.AuditRecord{
		Actor: "token:0badcafe 127.0.0.1", Action: "key.create", Object: numbered("k", i), Outcome: "done", Detail: "consumer acme",
	}
}

func mustAppend(t *testing.T, s AuditStore, r store.AuditRecord) store.AuditEntry {
	t.Helper()
	e, err := s.AppendAudit(t.Context(), r)
	if err != nil {
		t.Errorf("AppendAudit: %v", err)
	}
	return e
}

// chain is all that is there.
func chain(t *testing.T, s AuditStore) ([]store.AuditEntry, store.AuditHead) {
	t.Helper()
	entries, err := s.AuditEntries(t.Context(), 0, 10_000)
	head, headErr := s.AuditHead(t.Context())
	if err := errors.Join(err, headErr); err != nil {
		t.Fatal(err)
	}
	return entries, head
}

func testAuditAppend(t *testing.T, s AuditStore) {
	entries, head := chain(t, s)
	equal(t, "no entries", len(entries), 0)
	equal(t, "no head", head, store.AuditHead{})
	equal(t, "an empty chain", store.VerifyAudit(entries, head), nil)

	first := mustAppend(t, s, auditRecord(1))
	equal(t, "first", first, store.AuditEntry{
		Seq: 1, Time: "2026-11-23T03:33:00.000000Z", AuditRecord: auditRecord(1), Hash: first.Hash,
	})
	odd := store.AuditRecord{Actor: "a\nb", Action: "\x00", Object: "\xff", Outcome: "", Detail: `{"<&>"}`}
	second := mustAppend(t, s, odd)
	equal(t, "second", []any{second.Seq, second.Prev, second.Object}, []any{int64(2), first.Hash, "\uFFFD"})
	entries, head = chain(t, s)
	equal(t, "entries", entries, []store.AuditEntry{first, second})
	equal(t, "head", head, store.AuditHead{Seq: 2, Hash: second.Hash})
	equal(t, "verified", store.VerifyAudit(entries, head), nil)

	mustAppend(t, s, auditRecord(3))
	mustAppend(t, s, auditRecord(3)) // the same again, in the same microsecond, is another entry
	entries, head = chain(t, s)
	equal(t, "count", len(entries), 4)
	equal(t, "verified", store.VerifyAudit(entries, head), nil)
}

func testAuditPages(t *testing.T, s AuditStore) {
	for i := range 120 {
		mustAppend(t, s, auditRecord(i))
	}
	seqs := func(after int64, limit int) (seqs []int64) {
		t.Helper()
		entries, err := s.AuditEntries(t.Context(), after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			seqs = append(seqs, e.Seq)
		}
		return seqs
	}
	equal(t, "from the first", seqs(0, 3), []int64{1, 2, 3})
	equal(t, "after 3", seqs(3, 2), []int64{4, 5})
	equal(t, "the end", seqs(118, 9), []int64{119, 120})
	equal(t, "behind the end", seqs(120, 9), []int64(nil))
	equal(t, "far behind the end", seqs(1<<53, 9), []int64(nil))
	equal(t, "by default", len(seqs(0, 0)), 100)
}

// However many write at once, there is one chain with every entry once.
func testAuditConcurrent(t *testing.T, clients []AuditStore) {
	const each = 25
	var wg sync.WaitGroup
	for c, s := range clients {
		for i := range each {
			wg.Go(func() { mustAppend(t, s, auditRecord(c*each+i)) })
		}
	}
	wg.Wait()
	entries, head := chain(t, clients[0])
	equal(t, "verified", store.VerifyAudit(entries, head), nil)
	var objects, want []string
	for i, e := range entries {
		objects, want = append(objects, e.Object), append(want, numbered("k", i))
	}
	slices.Sort(objects)
	equal(t, "objects", objects, want)
	equal(t, "count", len(entries), each*len(clients))
}

func testAuditVerify(t *testing.T, s AuditStore) {
	for i := range 6 {
		mustAppend(t, s, auditRecord(i))
	}
	entries, head := chain(t, s)
	for name, tt := range map[string]struct {
		tamper  func(e []store.AuditEntry) []store.AuditEntry
		seq     int64
		problem string
	}{
		"actor":   {changed(2, func(e *store.AuditEntry) { e.Actor = "token:00000000 127.0.0.1" }), 3, "entry 3 was changed: its fields do not give its hash"},
		"time":    {changed(2, func(e *store.AuditEntry) { e.Time = "2026-11-23T03:33:00.000001Z" }), 3, "entry 3 was changed: its fields do not give its hash"},
		"outcome": {changed(5, func(e *store.AuditEntry) { e.Outcome = "refused" }), 6, "entry 6 was changed: its fields do not give its hash"},
		"between fields": {
			changed(2, func(e *store.AuditEntry) { e.Action, e.Object = e.Action+e.Object[:1], e.Object[1:] }), 3,
			"entry 3 was changed: its fields do not give its hash",
		},
		"hash": {changed(2, func(e *store.AuditEntry) { e.Hash = entries[0].Hash }), 3, "entry 3 was changed: its fields do not give its hash"},
		"prev": {changed(0, func(e *store.AuditEntry) { e.Prev = e.Hash }), 1, "entry 1 was changed: its fields do not give its hash"},
		"removed": {
			func(e []store.AuditEntry) []store.AuditEntry { return slices.Delete(e, 2, 3) }, 3,
			"entry 3 is missing: entry 4 stands in its place",
		},
		"first removed": {
			func(e []store.AuditEntry) []store.AuditEntry { return e[1:] }, 1,
			"entry 1 is missing: entry 2 stands in its place",
		},
		"swapped": {
			func(e []store.AuditEntry) []store.AuditEntry { e[2], e[3] = e[3], e[2]; return e }, 3,
			"entry 3 is missing: entry 4 stands in its place",
		},
		"twice": {
			func(e []store.AuditEntry) []store.AuditEntry { return slices.Insert(e, 3, e[2]) }, 4,
			"entry 3 stands where entry 4 should",
		},
		"last cut off": {func(e []store.AuditEntry) []store.AuditEntry { return e[:5] }, 6, "entry 6, the last, is missing"},
		"tail cut off": {func(e []store.AuditEntry) []store.AuditEntry { return e[:3] }, 4, "entries 4 to 6 are missing at the end"},
		"all cut off":  {func([]store.AuditEntry) []store.AuditEntry { return nil }, 1, "entries 1 to 6 are missing at the end"},
		"put in": {
			forged(t, 3), 4, "entry 4 does not follow entry 3: it was written after another one than stands there now",
		},
		"last made anew": {forged(t, 6), 6, "entry 6, the last, is not the one that the head was made with"},
	} {
		t.Run(name, func(t *testing.T) {
			err := store.VerifyAudit(tt.tamper(slices.Clone(entries)), head)
			var fault *store.AuditFault
			if !errors.As(err, &fault) || fault.Seq != tt.seq || err.Error() != tt.problem {
				t.Errorf("%v, want %q", err, tt.problem)
			}
		})
	}
	older := entries[4]
	err := store.VerifyAudit(entries, store.AuditHead{Seq: 5, Hash: older.Hash})
	equal(t, "put in behind the end", fmt.Sprint(err), "entry 6 was put in behind the end: the head is at 5")
}

func changed(i int, change func(*store.AuditEntry)) func([]store.AuditEntry) []store.AuditEntry {
	return func(e []store.AuditEntry) []store.AuditEntry {
		change(&e[i])
		return e
	}
}

// forged replaces the entry of a seq by another whose own hash is good.
func forged(t *testing.T, seq int) func([]store.AuditEntry) []store.AuditEntry {
	other := store.NewMemory()
	other.Now = Clock
	for i := range seq {
		r := auditRecord(i)
		if i == seq-1 {
			r.Actor = "nobody"
		}
		mustAppend(t, other, r)
	}
	replaced, _ := chain(t, other)
	return func(e []store.AuditEntry) []store.AuditEntry {
		e[seq-1] = replaced[seq-1]
		return e
	}
}
