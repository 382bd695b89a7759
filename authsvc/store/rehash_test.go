package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

// moves is a store that is asked to move keys, and can be made to wait.
type moves struct {
	mu      sync.Mutex
	asked   []string
	failure error
	gate    chan struct{} // nil for open
}

func (m *moves) RehashKey(_ context.Context, id, _, _ string) error {
	m.mu.Lock()
	m.asked = append(m.asked, id)
	m.mu.Unlock()
	if m.gate != nil {
		<-m.gate
	}
	return m.failure
}

func (c *counter) result(result string, err error) {
	if (err != nil) != (result == "failed") {
		result += fmt.Sprintf(" with %v", err)
	}
	c.count("rehash", result)
}

// keyed makes books with keys of the first pepper.
func keyed(t *testing.T, n int) *store.Memory {
	t.Helper()
	books := store.NewMemory()
	if _, err := books.CreateConsumer(t.Context(), storetest.Consumer("acme")); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		k := storetest.Key(fmt.Sprintf("k%d", i), "acme")
		k.Hash = pepperOf(1).HashKey(storetest.Secret(k.ID))
		if err := books.CreateKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	return books
}

func find(t *testing.T, p store.Peppers, id string) *store.Credential {
	t.Helper()
	found, err := p.Find(t.Context(), storetest.Secret(id))
	if err != nil {
		t.Error(err)
	}
	return found
}

// Requests neither wait for a move nor start more than a few, and one for a key at a time;
// the end waits for what is under way, and for no more.
func TestRehasherIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys = 300
		to, results := &moves{gate: make(chan struct{})}, &counter{}
		p := store.Peppers{Current: pepperOf(2), Old: []policy.Pepper{pepperOf(1)}, Source: keyed(t, keys)}
		p.Rehash = store.NewRehasher(to, results.result)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { p.Rehash.Run(ctx); close(ended) }()
		for range 3 {
			find(t, p, "k0")
			find(t, p, "k1")
			synctest.Wait()
		}
		if len(to.asked) != 2 {
			t.Fatalf("%q while two are moved", to.asked)
		}
		for i := range keys {
			find(t, p, fmt.Sprintf("k%d", i))
		}
		synctest.Wait()
		if n := results.take()["rehash dropped"]; len(to.asked) != 2 || n != keys-2-256 {
			t.Errorf("%d are moved, %d dropped", len(to.asked), n)
		}
		cancel()
		synctest.Wait()
		select {
		case <-ended:
			t.Error("it has ended before what was under way")
		default:
		}
		close(to.gate)
		<-ended
		if n := results.take()["rehash moved"]; n != 2 || len(to.asked) != 2 {
			t.Errorf("%d of %d moved", n, len(to.asked))
		}
	})
}

func TestRehasherResults(t *testing.T) {
	for want, failure := range map[string]error{
		"rehash moved": nil, "rehash failed": errors.New("down"),
		"rehash gone": fmt.Errorf("key: %w", store.ErrNotFound),
	} {
		synctest.Test(t, func(t *testing.T) {
			to, results := &moves{failure: failure}, &counter{}
			p := store.Peppers{Current: pepperOf(2), Old: []policy.Pepper{pepperOf(1), pepperOf(3)}, Source: keyed(t, 1)}
			p.Rehash = store.NewRehasher(to, results.result)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go p.Rehash.Run(ctx)
			for range 2 { // it is tried again at each look-up
				if find(t, p, "k0") == nil {
					t.Error("a move is in the way of its request")
				}
				synctest.Wait()
			}
			if got := results.take(); got[want] != 2 || len(got) != 1 {
				t.Errorf("%v, want %s", got, want)
			}
			p.Current, p.Old = pepperOf(0), []policy.Pepper{pepperOf(1)} // an earlier one: an older configuration
			find(t, p, "k0")
			synctest.Wait()
			if len(to.asked) != 2 {
				t.Error("a key is moved back")
			}
		})
	}
}

// After one use the pepper of before can go from the configuration, for our keys and those of
// other systems, and for those of the time before there were peppers.
func TestOldPepperCanGo(t *testing.T) {
	server := storetest.StartRedis(t)
	r := openRedis(t, server)
	seed(t, r) // k0, without a pepper
	opaque := storetest.Key("k1", "acme")
	opaque.Hash, opaque.Opaque = pepperOf(1).HashKey(storetest.Secret("k1")), true
	if err := r.CreateKey(t.Context(), opaque); err != nil {
		t.Fatal(err)
	}
	declared := storetest.Key("d0", "of the file")
	declared.Consumer = "declared"
	static, err := store.NewStatic([]policy.Consumer{{ID: "declared"}}, []store.Key{declared})
	if err != nil {
		t.Fatal(err)
	}
	results := &counter{}
	rehasher := store.NewRehasher(r, results.result)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { rehasher.Run(ctx) })
	defer running.Wait()
	defer cancel()

	cache := store.NewCache(store.CacheOptions{
		Source: r, Static: static, Pepper: pepperOf(2), Old: []policy.Pepper{pepperOf(1)}, Rehash: rehasher,
	})
	for range 3 {
		for _, id := range []string{"k0", "k1", "d0"} {
			if found, err := cache.Identify(t.Context(), storetest.Secret(id)); found == nil || found.ID != id || err != nil {
				t.Fatalf("%s: %v, %v", id, found, err)
			}
		}
	}
	moved := 0
	storetest.Eventually(t, "both are moved", func() bool {
		moved += results.take()["rehash moved"]
		return moved == 2
	})
	alone := store.Peppers{Current: pepperOf(2), Source: r}
	for _, id := range []string{"k0", "k1"} {
		if found := find(t, alone, id); found == nil || found.Key.Hash != pepperOf(2).HashKey(storetest.Secret(id)) {
			t.Errorf("%s: %+v", id, found)
		}
	}
	if broken := audit(t, r); broken != "" {
		t.Error(broken)
	}
}
