package store_test

import (
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// openRedis connects to an emptied server.
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

func TestRedis(t *testing.T) {
	server := storetest.StartRedis(t)
	storetest.Run(t, func(t testing.TB) storetest.Store {
		r := openRedis(t, server)
		if err := r.Client().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		return r
	})
}

// A server in cluster mode refuses a script that touches two slots, or a key that it did
// not declare.
func TestRedisOneSlot(t *testing.T) {
	server := storetest.StartRedis(t, "--cluster-enabled", "yes")
	r := openRedis(t, server)
	if err := r.Client().Do(t.Context(), "cluster", "addslotsrange", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "the cluster is up", func() bool {
		return r.Client().Set(t.Context(), "x", 1, 0).Err() == nil
	})
	storetest.Run(t, func(t testing.TB) storetest.Store {
		r := openRedis(t, server)
		if err := r.Client().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		return r
	})
}
