package store_test

import (
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// benchKey makes a key of the usual form and stores it.
func benchKey(tb testing.TB, m *store.Memory) policy.Secret {
	tb.Helper()
	id, key := policy.KeyFormat{}.New()
	if _, err := m.CreateConsumer(tb.Context(), store.Consumer{Consumer: policy.Consumer{ID: "acme"}}); err != nil {
		tb.Fatal(err)
	}
	if err := m.CreateKey(tb.Context(), store.Key{ID: id, Consumer: "acme", Hash: pepper.HashKey(key)}); err != nil {
		tb.Fatal(err)
	}
	return key
}

func benchCache(b *testing.B, static *store.Static) (*store.Cache, policy.Secret) {
	b.Helper()
	m := store.NewMemory()
	key := benchKey(b, m)
	return store.NewCache(store.CacheOptions{Source: m, Static: static, Pepper: pepper}), key
}

func benchCredential(b *testing.B, c *store.Cache, key policy.Secret) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if found, err := c.Identify(b.Context(), key); found == nil || err != nil {
			b.Fatal(found, err)
		}
	}
}

func BenchmarkCredentialWarm(b *testing.B) {
	c, key := benchCache(b, nil)
	benchCredential(b, c, key)
}

func BenchmarkCredentialWarmParallel(b *testing.B) {
	c, key := benchCache(b, nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if found, _ := c.Identify(b.Context(), key); found == nil {
				b.Error("not found")
			}
		}
	})
}

func BenchmarkCredentialStatic(b *testing.B) {
	id, key := policy.KeyFormat{}.New()
	for name, hash := range map[string]string{"plain": policy.PlainKeyHash(key), "peppered": pepper.HashKey(key)} {
		b.Run(name, func(b *testing.B) {
			static, err := store.NewStatic([]policy.Consumer{{ID: "a"}}, []store.Key{{ID: id, Consumer: "a", Hash: hash}})
			if err != nil {
				b.Fatal(err)
			}
			c, _ := benchCache(b, static)
			benchCredential(b, c, key)
		})
	}
}

func BenchmarkCredentialNegative(b *testing.B) {
	c, _ := benchCache(b, nil)
	_, guess := policy.KeyFormat{}.New()
	b.ReportAllocs()
	for b.Loop() {
		if found, err := c.Identify(b.Context(), guess); found != nil || err != nil {
			b.Fatal(found, err)
		}
	}
}

func BenchmarkConsumerWarm(b *testing.B) {
	c, _ := benchCache(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if found, err := c.Consumer(b.Context(), "acme"); found == nil || err != nil {
			b.Fatal(found, err)
		}
	}
}

func BenchmarkCredentialMiss(b *testing.B) {
	c, key := benchCache(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		c.ForgetAll()
		if found, err := c.Identify(b.Context(), key); found == nil || err != nil {
			b.Fatal(found, err)
		}
	}
}

func TestWarmLookUpDoesNotAllocate(t *testing.T) {
	m := store.NewMemory()
	key := benchKey(t, m)
	c := store.NewCache(store.CacheOptions{Source: m, Pepper: pepper})
	allocs := testing.AllocsPerRun(100, func() { _, _ = c.Identify(t.Context(), key) })
	if allocs > 1 {
		t.Errorf("%v allocations for a warm look-up", allocs)
	}
}
