package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

func TestMemoryLoad(t *testing.T) {
	storetest.RunLoad(t, func(testing.TB) storetest.LoadStore {
		m := store.NewMemory()
		m.Now = storetest.Clock
		return m
	})
}

func TestFileLoad(t *testing.T) {
	storetest.RunLoad(t, func(t testing.TB) storetest.LoadStore { return openFile(t) })
}

// lookedInto is a store that its tests can look into.
type lookedInto interface {
	storetest.LoadStore
	Put(in, key, value string) error
	Delete(in, key, was string) error
	Value(in, key string) string
	Names(in string) []string
	Check() error
}

// inBoth tests Memory and File, whose clock is moved.
func inBoth(t *testing.T, test func(t *testing.T, s lookedInto, c *clock)) {
	t.Run("memory", func(t *testing.T) {
		c, m := &clock{}, store.NewMemory()
		m.Now = c.now
		test(t, m, c)
	})
	t.Run("file", func(t *testing.T) {
		c, f := &clock{}, openFile(t)
		f.Now = c.now
		test(t, f, c)
	})
}

func mustCreate(t *testing.T, s storetest.Store, id string) store.Consumer {
	t.Helper()
	c, err := s.CreateConsumer(t.Context(), storetest.Consumer(id))
	check(t, err)
	return c
}

// The version of a deleted consumer stays for a day, and not for ever.
func TestEmbeddedForgetsVersions(t *testing.T) {
	inBoth(t, func(t *testing.T, s lookedInto, c *clock) {
		for _, id := range []string{"a", "b", "c"} {
			mustCreate(t, s, id)
			check(t, s.DeleteConsumer(t.Context(), id))
			c.move(11 * time.Hour)
		}
		if again := mustCreate(t, s, "b"); again.Version != 2 {
			t.Errorf("version %d of one that was deleted 22 hours ago", again.Version)
		}
		mustCreate(t, s, "d")
		check(t, s.DeleteConsumer(t.Context(), "d"))
		if left := s.Names("buried"); fmt.Sprint(left) != "[c d]" {
			t.Errorf("known are %v", left)
		}
		if again := mustCreate(t, s, "a"); again.Version != 1 {
			t.Errorf("version %d of one that was deleted 33 hours ago", again.Version)
		}
		check(t, s.Check())
	})
}

// What is revoked goes when its time has come, a hundred at a time.
func TestEmbeddedForgetsRevocations(t *testing.T) {
	inBoth(t, func(t *testing.T, s lookedInto, c *clock) {
		revoke := func(id string, d time.Duration) {
			t.Helper()
			rev := revocationOf(id)
			rev.Until = c.now().Add(d)
			check(t, s.Revoke(t.Context(), rev))
		}
		for i := range 150 {
			revoke(fmt.Sprint("t", i), time.Hour)
		}
		revoke("t0", 2*time.Hour)
		c.move(time.Hour - 1)
		if ids, all, err := s.AllRevoked(t.Context(), 200); len(ids) != 150 || !all || err != nil {
			t.Errorf("%d, %v, %v", len(ids), all, err)
		}
		c.move(1)
		if ids, all, err := s.AllRevoked(t.Context(), 200); len(ids) != 1 || !all || err != nil {
			t.Errorf("%d, %v, %v", len(ids), all, err)
		}
		for _, want := range []int{51, 3, 4} {
			revoke(fmt.Sprint("new", want), time.Hour)
			if left := len(s.Names("revoked")); left != want {
				t.Errorf("%d are left, want %d", left, want)
			}
		}
		for id, want := range map[string]bool{"t0": true, "t1": false, "new3": true} {
			if is, err := s.Revoked(t.Context(), storetest.Token(id, "", "")); is != want || err != nil {
				t.Errorf("%s: %v, %v", id, is, err)
			}
		}
		check(t, s.Check())
	})
}

// A value under the name of another is an error, never a result.
func TestEmbeddedCorrupt(t *testing.T) {
	inBoth(t, func(t *testing.T, s lookedInto, _ *clock) {
		ctx := t.Context()
		look := map[string]func() error{
			"credential": func() error { _, err := s.Credential(ctx, storetest.Hash("k0")); return err },
			"key":        func() error { _, err := s.Key(ctx, "k0"); return err },
			"keys":       func() error { _, err := s.Keys(ctx, "", "", 0); return err },
			"members":    func() error { _, err := s.Keys(ctx, "acme", "", 0); return err },
			"consumer":   func() error { _, err := s.Consumer(ctx, "acme"); return err },
			"consumers":  func() error { _, err := s.Consumers(ctx, "", 0); return err },
			"audit":      func() error { _, err := s.AuditEntries(ctx, 0, 0); return err },
			"head":       func() error { _, err := s.AuditHead(ctx); return err },
			"revoked":    func() error { _, err := s.Revoked(ctx, storetest.Token("t0", "", "")); return err },
			"dump":       func() error { return s.Dump(ctx, func(store.Record) error { return nil }) },
		}
		for _, id := range []string{"acme", "other"} {
			mustCreate(t, s, id)
		}
		check(t, s.CreateKey(ctx, storetest.Key("k0", "acme")))
		check(t, s.CreateKey(ctx, storetest.Key("k1", "acme")))
		_, err := s.AppendAudit(ctx, store.AuditRecord{Action: "x"})
		check(t, errors.Join(err, s.Revoke(ctx, revocationOf("t0"))))
		for name, tt := range map[string]struct{ in, key, value, broken string }{
			"key of another":      {"keys", "k0", s.Value("keys", "k1"), "credential key keys members dump"},
			"key is no JSON":      {"keys", "k0", storetest.Hash("k0") + " 1 {", "credential key keys members dump"},
			"key's version":       {"keys", "k0", strings.Replace(s.Value("keys", "k0"), " 1 ", " x ", 1), "credential key keys members dump"},
			"hash of another":     {"hashes", storetest.Hash("k0"), "k1", "credential"},
			"hash of none":        {"hashes", storetest.Hash("k0"), "k2", "credential"},
			"last use":            {"members", "acme\x00k0", "x", "key keys members dump"},
			"member of another":   {"members", "acme\x00k2", "", "members"},
			"consumer of another": {"consumers", "acme", s.Value("consumers", "other"), "credential consumer consumers dump"},
			"consumer's version":  {"consumers", "acme", "x 1 {}", "credential consumer consumers dump"},
			"entry is no JSON":    {"audit", s.Names("audit")[0], "{", "audit dump"},
			"head":                {"stile", "audit", "1 x", "head"},
			"revocation":          {"revoked", revocationOf("t0").Name(), "x", "revoked dump"},
		} {
			before, undo := s.Value(tt.in, tt.key), s.Put
			if before == "" && tt.value == "" {
				undo = s.Delete
			}
			check(t, s.Put(tt.in, tt.key, tt.value))
			for what, look := range look {
				broken := strings.Contains(" "+tt.broken+" ", " "+what+" ")
				if err := look(); errors.Is(err, store.ErrCorrupt) != broken || (err != nil) != broken {
					t.Errorf("%s: %s: %v", name, what, err)
				}
			}
			check(t, undo(tt.in, tt.key, before))
		}
		check(t, s.RevokeKey(ctx, "k0"))
		check(t, s.DeleteConsumer(ctx, "acme"))
	})
}

// What is written while it tells does not wait, and of a consumer who is new it tells no key.
func TestEmbeddedDumpsMeanwhile(t *testing.T) {
	inBoth(t, func(t *testing.T, s lookedInto, _ *clock) {
		loadAll(t, s, many(100, 1300), 5000)
		consumers, keys := map[string]bool{}, 0
		check(t, s.Dump(t.Context(), func(r store.Record) error {
			switch {
			case r.Consumer != nil:
				if len(consumers) == 0 {
					makeMore(t, s)
				}
				consumers[r.Consumer.ID] = true
			case r.Key != nil:
				keys++
				if !consumers[r.Key.Consumer] {
					t.Errorf("key %q comes without its consumer %q", r.Key.ID, r.Key.Consumer)
				}
			}
			return nil
		}))
		if len(consumers) != 1198 || keys != 1200 {
			t.Errorf("%d consumers and %d keys", len(consumers), keys)
		}
		check(t, s.Check())
	})
}

// makeMore adds to 1200 consumers, of which a dump has read the first ones, takes the last
// away, and makes one of them anew.
func makeMore(t *testing.T, s lookedInto) {
	t.Helper()
	loadAll(t, s, many(0, 10), 100)      // before where it is
	loadAll(t, s, many(2000, 2010), 100) // behind
	check(t, s.CreateKey(t.Context(), storetest.Key("k000100.new", "c000100")))
	check(t, s.CreateKey(t.Context(), storetest.Key("k000100.too", "c001200")))
	for _, id := range []string{"c001298", "c001299"} {
		check(t, s.DeleteConsumer(t.Context(), id))
	}
	mustCreate(t, s, "c001299")
	check(t, s.CreateKey(t.Context(), storetest.Key("k001299", "c001299")))
}

// Writers at the same time share a transaction, and each is told of its own end.
func TestFileWritersTogether(t *testing.T) {
	f := openFile(t)
	mustCreate(t, f, "acme")
	const writers = 32
	errs := make(chan error, writers)
	for i := range writers {
		go func() {
			switch i % 4 {
			case 0:
				_, err := f.CreateConsumer(context.Background(), storetest.Consumer("acme"))
				errs <- want(err, store.ErrExists)
			case 1:
				_, err := f.CreateConsumer(context.Background(), storetest.Consumer(fmt.Sprint("c", i)))
				errs <- err
			case 2: // fails after it has written
				errs <- want(f.Put("stile", "", "x"), nil)
			default:
				_, err := f.AppendAudit(context.Background(), store.AuditRecord{Action: fmt.Sprint(i)})
				errs <- err
			}
		}()
	}
	failed := 0
	for range writers {
		if err := <-errs; err != nil {
			failed++
		}
	}
	list, err := f.Consumers(t.Context(), "", 100)
	entries, auditErr := f.AuditEntries(t.Context(), 0, 100)
	if errors.Join(err, auditErr) != nil || failed != writers/4 || len(list) != 1+writers/4 || len(entries) != writers/4 {
		t.Errorf("%d failed, %d consumers, %d entries, %v, %v", failed, len(list), len(entries), err, auditErr)
	}
	check(t, f.Ping(t.Context()))
}

func want(err, wanted error) error {
	if errors.Is(err, wanted) {
		return nil
	}
	return fmt.Errorf("%w, want %w", err, wanted)
}
