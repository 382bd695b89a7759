package store_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

// openRedis makes a store of its own on a server.
func openRedis(t testing.TB, server *storetest.Redis) *store.Redis {
	t.Helper()
	r, err := store.OpenRedis(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	r.Now = storetest.Clock
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// opener empties the server for each test.
func opener(server *storetest.Redis) func(testing.TB) storetest.Store {
	return func(t testing.TB) storetest.Store {
		r := openRedis(t, server)
		if err := r.Client().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		return r
	}
}

func TestRedis(t *testing.T) { storetest.Run(t, opener(storetest.StartRedis(t))) }

// A server in cluster mode refuses a script that touches two slots.
func TestRedisOneSlot(t *testing.T) {
	server := storetest.StartRedis(t, "--cluster-enabled", "yes")
	db := openRedis(t, server).Client()
	if err := db.Do(t.Context(), "cluster", "addslotsrange", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "the cluster is up", func() bool { return db.Set(t.Context(), "x", 1, 0).Err() == nil })
	if err := db.MSet(t.Context(), "x", 1, "y", 2).Err(); err == nil || !strings.HasPrefix(err.Error(), "CROSSSLOT") {
		t.Fatalf("two slots at once: %v", err)
	}
	storetest.Run(t, opener(server))
}

func TestRedisPassword(t *testing.T) {
	server := storetest.StartRedis(t, "--requirepass", "pa/ss")
	for password, good := range map[string]bool{"pa%2Fss": true, "wrong": false} {
		r, err := store.OpenRedis("redis://:" + password + "@" + server.Addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Ping(t.Context()); (err == nil) != good || (err != nil && strings.Contains(err.Error(), password)) {
			t.Errorf("password %s: %v", password, err)
		}
		_ = r.Close()
	}
}

// trips counts round trips.
type trips struct{ atomic.Int64 }

func (n *trips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (n *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { n.Add(1); return next(ctx, cmd) }
}

func (n *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { n.Add(1); return next(ctx, cmds) }
}

func TestRedisOneRoundTrip(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	seed(t, r)
	n := &trips{}
	r.Client().AddHook(n)
	for _, id := range []string{"acme", "none"} {
		for what, look := range map[string]func() error{
			"consumer":   func() error { _, err := r.Consumer(t.Context(), id); return err },
			"credential": func() error { _, err := r.Credential(t.Context(), storetest.Hash(id)); return err },
		} {
			n.Store(0)
			if err := look(); err != nil || n.Load() != 1 {
				t.Errorf("%s %s: %v, %d round trips", what, id, err, n.Load())
			}
		}
	}
}

func TestRedisObserve(t *testing.T) {
	server := storetest.StartRedis(t)
	r := openRedis(t, server)
	var ops []string
	r.Observe = func(op string, took time.Duration, err error) {
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
		_ = r.Ping(ctx)
		_, _ = r.CreateConsumer(ctx, storetest.Consumer("acme"))
		_, _ = r.CreateConsumer(ctx, storetest.Consumer("acme")) // exists
		_, _ = r.CreateConsumer(ctx, storetest.Consumer("a b"))  // invalid, and nobody was asked
		_, _ = r.UpdateConsumer(ctx, store.Consumer{Consumer: policy.Consumer{ID: "acme"}, Version: 9})
		_, _ = r.Consumer(ctx, "acme")
		_, _ = r.Consumers(ctx, "", 0)
		_ = r.CreateKey(ctx, storetest.Key("k1", "acme"))
		_, _ = r.Credential(ctx, storetest.Hash("k1"))
		_, _ = r.Key(ctx, "k1")
		_, _ = r.Keys(ctx, "acme", "", 0)
		_ = r.RevokeKey(ctx, "k1")
		_ = r.DeleteConsumer(ctx, "none")
	}
	names := strings.Fields("ping create_consumer create_consumer update_consumer consumer consumers create_key credential key keys revoke_key delete_consumer")
	exercise()
	if diff := cmp.Diff(names, ops); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
	server.Kill()
	ops = nil
	start := time.Now()
	exercise()
	for i := range names {
		names[i] += " failed"
	}
	if diff := cmp.Diff(names, ops); diff != "" {
		t.Errorf("observed of a dead server (-want +got):\n%s", diff)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("%d operations on a dead server took %v", len(names), took)
	}
}

// A reply that belongs to another question is an error, never a result.
func TestRedisCorrupt(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	ctx, db := t.Context(), r.Client()
	k0, other := "stile:key:"+storetest.Hash("k0"), "stile:key:"+storetest.Hash("k1")
	look := map[string]func() error{
		"credential": func() error { _, err := r.Credential(ctx, storetest.Hash("k0")); return err },
		"key":        func() error { _, err := r.Key(ctx, "k0"); return err },
		"keys":       func() error { _, err := r.Keys(ctx, "", "", 0); return err },
		"consumer":   func() error { _, err := r.Consumer(ctx, "acme"); return err },
		"consumers":  func() error { _, err := r.Consumers(ctx, "", 0); return err },
	}
	for name, tt := range map[string]struct {
		key, field string
		value      func() string
		broken     string
	}{
		"key of another":      {k0, "key", func() string { return db.HGet(ctx, other, "key").Val() }, "credential key keys"},
		"no JSON":             {k0, "key", func() string { return "{" }, "credential key keys"},
		"copy of another":     {k0, "consumer", func() string { return db.HGet(ctx, "stile:{c:other}", "json").Val() }, "credential"},
		"copy is no JSON":     {k0, "consumer", func() string { return "" }, "credential"},
		"consumer of another": {"stile:{c:acme}", "json", func() string { return db.HGet(ctx, "stile:{c:other}", "json").Val() }, "consumer consumers"},
		"version":             {"stile:{c:acme}", "version", func() string { return "x" }, "consumer consumers"},
	} {
		t.Run(name, func(t *testing.T) {
			seed(t, r)
			if err := r.CreateKey(ctx, storetest.Key("k1", "acme")); err != nil {
				t.Fatal(err)
			}
			db.HSet(ctx, tt.key, tt.field, tt.value())
			for what, look := range look {
				broken := strings.Contains(" "+tt.broken+" ", " "+what+" ")
				if err := look(); errors.Is(err, store.ErrCorrupt) != broken || (err != nil) != broken {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

// A write that began goes on when whoever asked for it goes away.
func TestRedisCallerGoesAway(t *testing.T) {
	server := storetest.StartRedis(t)
	r, s := openRedis(t, server), newStepper(t, server)
	for name, op := range operations {
		seed(t, r)
		ctx, cancel := context.WithCancel(t.Context())
		want := op(ctx, r)
		seed(t, r)
		var got error
		s.begin(ctx, func(ctx context.Context, r *store.Redis) error {
			got = op(ctx, r)
			return got
		})
		s.steps(1)
		cancel()
		s.finish()
		if broken := audit(t, r); (got == nil) != (want == nil) || broken != "" {
			t.Errorf("%q: %v, %s", name, got, broken)
		}
		if err := op(ctx, r); !errors.Is(err, context.Canceled) {
			t.Errorf("%q begun by one who is gone: %v", name, err)
		}
	}
}

// A server that takes connections and says nothing is given up soon.
func TestRedisSilent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts; nobody reads
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	r, err := store.OpenRedis("redis://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	start := time.Now()
	_, err = r.Credential(t.Context(), storetest.Hash("k1"))
	if took := time.Since(start); err == nil || took > 2*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start = time.Now()
	_, err = r.Credential(ctx, storetest.Hash("k1"))
	if took := time.Since(start); err == nil || took > time.Second {
		t.Errorf("with 50ms to go: %v after %v", err, took)
	}
}
