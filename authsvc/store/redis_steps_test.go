package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

type operation func(context.Context, *store.Redis) error

func createKey(id, consumer, secret string) operation {
	return func(ctx context.Context, r *store.Redis) error {
		k := storetest.Key(secret, consumer)
		k.ID = id
		return r.CreateKey(ctx, k)
	}
}

func revoke(id string) operation {
	return func(ctx context.Context, r *store.Redis) error { return r.RevokeKey(ctx, id) }
}

func withCustom(id, customID string) store.Consumer {
	c := storetest.Consumer(id)
	c.CustomID = customID
	return c
}

func create(id, customID string) operation {
	return func(ctx context.Context, r *store.Redis) error {
		_, err := r.CreateConsumer(ctx, withCustom(id, customID))
		return err
	}
}

func update(id, customID string) operation {
	return func(ctx context.Context, r *store.Redis) error {
		c := withCustom(id, customID)
		c.Disabled = true
		_, err := r.UpdateConsumer(ctx, c)
		return err
	}
}

func remove(id string) operation {
	return func(ctx context.Context, r *store.Redis) error { return r.DeleteConsumer(ctx, id) }
}

// updateFirst wants the version that seed writes.
func updateFirst(ctx context.Context, r *store.Redis) error {
	c := withCustom("acme", "x")
	c.Version, c.Disabled = 1, true
	_, err := r.UpdateConsumer(ctx, c)
	return err
}

func updateKey(id string, version int64) operation {
	return func(ctx context.Context, r *store.Redis) error {
		k := storetest.Key(id, "acme")
		k.Groups, k.Version = []string{"changed"}, version
		_, err := r.UpdateKey(ctx, k)
		return err
	}
}

// rehash moves a key that seed, or storetest, has made to the first pepper.
func rehash(id string) operation {
	return func(ctx context.Context, r *store.Redis) error {
		return r.RehashKey(ctx, id, storetest.Hash(id), pepperOf(1).HashKey(storetest.Secret(id)))
	}
}

func markUsed(consumer, key string) operation {
	return func(ctx context.Context, r *store.Redis) error {
		return r.MarkUsed(ctx, []store.Use{{Consumer: consumer, Key: key, At: storetest.Clock()}})
	}
}

// loading wants a record to be there in the end.
func loading(rec store.Record) operation {
	return func(ctx context.Context, r *store.Redis) error {
		problems, err := r.Load(ctx, []store.Record{rec})
		return errors.Join(append(problems, err)...)
	}
}

func loadConsumer(id, customID string) operation {
	c := withCustom(id, customID)
	c.Version, c.Created, c.Updated = 5, storetest.Clock(), storetest.Clock()
	return loading(store.Record{Consumer: &c})
}

func loadKey(id string) operation {
	k := storetest.Key(id, "acme")
	k.Version, k.LastUsed = 5, storetest.Clock()
	return loading(store.Record{Key: &k})
}

// operations begin with the books that seed writes.
var operations = map[string]operation{
	"create key":               createKey("k1", "acme", "k1"),
	"create key, other hash":   createKey("k1", "other", "k2"),
	"create key that is there": createKey("k0", "acme", "k0"),
	"revoke":                   revoke("k0"),
	"update":                   update("acme", "x"),
	"update key":               updateKey("k0", 0),
	"update key version 1":     updateKey("k0", 1),
	"mark used":                markUsed("acme", "k0"),
	"rehash":                   rehash("k0"),
	"update version 1":         updateFirst,
	"update custom id":         update("acme", "y"),
	"take custom id":           update("other", "x"),
	"create with custom id":    create("third", "y"),
	"load with custom id":      loadConsumer("third", "y"),
	"load key":                 loadKey("k1"),
	"delete":                   remove("acme"),
	"create consumer":          create("acme", ""),
}

// seed: acme has the custom id x and the key k0, other has nothing.
func seed(t *testing.T, r *store.Redis) {
	t.Helper()
	if err := r.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for _, op := range []operation{create("acme", "x"), create("other", ""), createKey("k0", "acme", "k0")} {
		if err := op(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRedisInterleaved runs every two operations against each other: one makes i round
// trips, the other j, then the first ends and the second ends.
func TestRedisInterleaved(t *testing.T) {
	server := storetest.StartRedis(t)
	r := openRedis(t, server)
	first, second := newStepper(t, server), newStepper(t, server)
	seed(t, r)
	reset := snapshot(t, r.Client())
	schedules := 0
	for nameA, a := range operations {
		for nameB, b := range operations {
			for i, more := 1, true; more; i++ {
				for j, moreB := 1, true; moreB; j++ {
					reset()
					first.begin(t.Context(), a)
					more = first.steps(i)
					second.begin(t.Context(), b)
					moreB = second.steps(j)
					first.finish()
					second.finish()
					schedules++
					if broken := audit(t, r); broken != "" {
						t.Fatalf("%d steps of %q, %d of %q, then the rest: %s", i, nameA, j, nameB, broken)
					}
				}
			}
		}
	}
	t.Logf("%d schedules", schedules)
}

// TestRedisReplaced lets a whole life go by between two round trips of an operation: what
// it meant has ended, and one of the same name has come. The late round trips must do the
// new one no harm.
func TestRedisReplaced(t *testing.T) {
	server := storetest.StartRedis(t)
	r, s := openRedis(t, server), newStepper(t, server)
	for _, op := range operations { // so that the server knows the scripts: a first try is no step
		seed(t, r)
		_ = op(t.Context(), r)
	}
	for name, tt := range map[string]struct {
		slow     operation
		replaced []operation
	}{
		"create key":      {createKey("k1", "acme", "k1"), []operation{revoke("k1"), createKey("k1", "acme", "k1")}},
		"revoke":          {revoke("k0"), []operation{revoke("k0"), createKey("k0", "acme", "k0"), createKey("k1", "acme", "k1")}},
		"update key":      {updateKey("k0", 0), []operation{revoke("k0"), createKey("k0", "acme", "k0"), createKey("k1", "acme", "k1")}},
		"rehash":          {rehash("k0"), []operation{revoke("k0"), createKey("k0", "acme", "k0"), createKey("k1", "acme", "k1")}},
		"rehash, too":     {rehash("k0"), []operation{rehash("k0"), revoke("k0"), createKey("k0", "acme", "k0"), rehash("k0"), createKey("k1", "acme", "k1")}},
		"revoke, moved":   {revoke("k0"), []operation{rehash("k0"), createKey("k1", "acme", "k1")}},
		"update":          {update("acme", "x"), []operation{remove("acme"), create("acme", "x"), createKey("k1", "acme", "k1")}},
		"custom id":       {update("acme", "y"), []operation{update("acme", ""), update("acme", "y"), createKey("k1", "acme", "k1")}},
		"delete":          {remove("acme"), []operation{remove("acme"), create("acme", "x"), createKey("k1", "acme", "k1")}},
		"load consumer":   {loadConsumer("third", "y"), []operation{remove("third"), create("third", "y"), createKey("k1", "third", "k1")}},
		"load key":        {loadKey("k1"), []operation{revoke("k1"), createKey("k1", "acme", "k1")}},
		"create consumer": {create("third", "y"), []operation{remove("third"), create("third", "y"), createKey("k1", "third", "k1")}},
		"create key of another": {
			createKey("k1", "acme", "k1"),
			[]operation{remove("acme"), create("acme", ""), revoke("k1"), createKey("k1", "acme", "k1")},
		},
	} {
		for i, more := 1, true; more; i++ {
			seed(t, r)
			s.begin(t.Context(), tt.slow)
			more = s.steps(i)
			var last error
			for _, op := range tt.replaced {
				last = op(t.Context(), r)
			}
			s.finish()
			if broken := audit(t, r); broken != "" {
				t.Errorf("%s, replaced after %d steps: %s", name, i, broken)
			}
			if found, err := r.Credential(t.Context(), storetest.Hash("k1")); last == nil && (found == nil || err != nil) {
				t.Errorf("%s, replaced after %d steps: the new key is gone: %v", name, i, err)
			}
		}
	}
}

// TestRedisCutShort kills the writer after each of its round trips. Whatever is left must
// be sound but for what the operation's documentation says, and after another one, for
// all that it left, be sound altogether.
func TestRedisCutShort(t *testing.T) {
	server := storetest.StartRedis(t)
	r, s := openRedis(t, server), newStepper(t, server)
	for name, op := range operations {
		for repair, mend := range map[string]operation{"the same again": op, "delete": remove("acme"), "update": update("acme", "z")} {
			for i, more := 0, true; more; i++ {
				seed(t, r)
				s.begin(t.Context(), op)
				more = s.steps(i)
				s.die()
				_ = mend(t.Context(), r)
				if gone, err := r.Consumer(t.Context(), "acme"); err != nil || gone == nil {
					_ = r.DeleteConsumer(t.Context(), "acme") // as its documentation says
				}
				if broken := audit(t, r); broken != "" {
					t.Fatalf("%q died after %d steps, then %s: %s", name, i, repair, broken)
				}
			}
		}
	}
}

// TestRedisAnswerLost repeats each round trip of each operation, as the client does when
// it got no answer: the outcome must be the same.
func TestRedisAnswerLost(t *testing.T) {
	server := storetest.StartRedis(t)
	r, s := openRedis(t, server), newStepper(t, server)
	for name, op := range operations {
		seed(t, r)
		want := op(t.Context(), r)
		for i, more := 0, true; more; i++ {
			seed(t, r)
			s.twice = i
			var got error
			s.begin(t.Context(), func(ctx context.Context, r *store.Redis) error {
				got = op(ctx, r)
				return got
			})
			more = s.steps(i + 1)
			s.finish()
			if broken := audit(t, r); (got == nil) != (want == nil) || broken != "" {
				t.Errorf("%q with round trip %d made twice: %v, %s; once: %v", name, i, got, broken, want)
			}
		}
	}
}
