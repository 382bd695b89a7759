package store_test

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

func TestMemoryAudit(t *testing.T) {
	storetest.RunAudit(t, func(_ testing.TB, clients int) (all []storetest.AuditStore) {
		m := store.NewMemory()
		m.Now = storetest.Clock
		for range clients {
			all = append(all, m)
		}
		return all
	})
}

func TestRedisAudit(t *testing.T) {
	server := storetest.StartRedis(t)
	storetest.RunAudit(t, func(t testing.TB, clients int) (all []storetest.AuditStore) {
		opener(server)(t)
		for range clients {
			all = append(all, openRedis(t, server))
		}
		return all
	})
}

// verified is what a verifier says of what is in Redis.
func verified(t *testing.T, r *store.Redis) string {
	t.Helper()
	entries, err := r.AuditEntries(t.Context(), 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	head, err := r.AuditHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := store.VerifyAudit(entries, head); err != nil {
		return err.Error()
	}
	return "ok"
}

// A command that is repeated since its answer was lost makes one entry, also where another
// writer came in between.
func TestRedisAuditRepeated(t *testing.T) {
	server := storetest.StartRedis(t)
	r := openRedis(t, server)
	other := openRedis(t, server)
	rec := store.AuditRecord{Actor: "a", Action: "key.create", Outcome: "done"}
	if _, err := r.AppendAudit(t.Context(), rec); err != nil { // loads the script
		t.Fatal(err)
	}
	for _, between := range []bool{false, true} {
		h := &repeater{between: func() {
			if between {
				_, _ = other.AppendAudit(context.Background(), rec)
			}
		}}
		again := openRedis(t, server)
		again.Client().AddHook(h)
		before, err := r.AuditHead(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		e, err := again.AppendAudit(t.Context(), rec)
		if err != nil || e.Seq != before.Seq+1 || h.repeated != 1 {
			t.Fatalf("entry %d after %d, %d repetitions: %v", e.Seq, before.Seq, h.repeated, err)
		}
		want := before.Seq + 1
		if between {
			want++
		}
		after, err := r.AuditHead(t.Context())
		if err != nil || after.Seq != want {
			t.Errorf("another in between %v: %d entries (%v), want %d", between, after.Seq, err, want)
		}
		if said := verified(t, r); said != "ok" {
			t.Error(said)
		}
	}
}

// repeater sends each script twice, with something in between.
type repeater struct {
	between  func()
	repeated int
}

func (r *repeater) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *repeater) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (r *repeater) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" {
			_ = next(ctx, cmd)
			r.between()
			r.repeated++
		}
		return next(ctx, cmd)
	}
}

// What somebody does to the stream behind stile's back is found, and nothing is appended to
// a chain that does not end where its head says.
func TestRedisAuditTampered(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	ctx, db := t.Context(), r.Client()
	const stream, head = "stile:{sys}:audit", "stile:{sys}:audit:head"
	for name, tt := range map[string]struct {
		tamper func()
		found  string
		append bool
	}{
		"deleted":      {func() { db.XDel(ctx, stream, "3-0") }, "entry 3 is missing", true},
		"trimmed":      {func() { db.XTrimMaxLen(ctx, stream, 2) }, "entry 1 is missing", true},
		"tail deleted": {func() { db.XDel(ctx, stream, "4-0", "5-0") }, "entries 4 to 5 are missing", true},
		"appended": {func() {
			db.XAdd(ctx, &redis.XAddArgs{Stream: stream, ID: "6-0", Values: []string{"seq", "6"}})
		}, "entry 6 was changed", false},
		"head set back": {func() {
			e, _ := r.AuditEntries(ctx, 3, 1)
			db.Set(ctx, head, "4 "+e[0].Hash, 0)
		}, "entry 5 was put in behind the end", false},
		"head deleted":   {func() { db.Del(ctx, head) }, "entry 1 was put in behind the end", false},
		"stream deleted": {func() { db.Del(ctx, stream) }, "entries 1 to 5 are missing", true},
	} {
		t.Run(name, func(t *testing.T) {
			db.FlushAll(ctx)
			rec := store.AuditRecord{Actor: "a", Action: "key.create", Outcome: "done"}
			for range 5 {
				if _, err := r.AppendAudit(ctx, rec); err != nil {
					t.Fatal(err)
				}
			}
			tt.tamper()
			if said := verified(t, r); !strings.Contains(said, tt.found) {
				t.Errorf("%s, want %s", said, tt.found)
			}
			if _, err := r.AppendAudit(ctx, rec); (err == nil) != tt.append {
				t.Errorf("append: %v", err)
			}
			if said := verified(t, r); said == "ok" {
				t.Error("another entry hides it")
			}
		})
	}
}
