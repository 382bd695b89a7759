package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// The two sizes that measureScale compares, and how many keys are in use in both.
const (
	fewConsumers  = 1_000
	manyConsumers = 1_000_000
	keysInUse     = 1_000
)

// town is a Redis with consumers, each with a key, and a stile before it.
type town struct {
	consumers int
	keys      []string
	addresses
	ready time.Duration // from exec
}

// measureScale compares a store of a million consumers with one of a thousand.
func (s *stage) measureScale(ctx context.Context, rounds int, took time.Duration) error {
	towns := []*town{{consumers: fewConsumers}, {consumers: manyConsumers}}
	for _, t := range towns {
		if err := s.found(ctx, t); err != nil {
			return err
		}
	}
	idle := residentMemory(towns[1].pid)
	few, many := towns[0].inUse("1,000 consumers", ""), towns[1].inUse("1,000,000 consumers", "1,000 consumers")
	if err := measureDecisions(ctx, []*testCase{few, many}, rounds, took); err != nil {
		return err
	}
	warmed := residentMemory(towns[1].pid)
	fmt.Println("\nEach key for the first time, 1 connection:")
	fewCold, err := towns[0].first(ctx, fewConsumers)
	if err != nil {
		return err
	}
	manyCold, err := towns[1].first(ctx, 20*fewConsumers)
	if err != nil {
		return err
	}
	fmt.Printf("\n| consumers | p50 | p99 |\n|---|---|---|\n| 1,000 | %s | %s |\n| 1,000,000 | %s (%.2f) | %s (%.2f) |\n", fewCold.p50, fewCold.p99,
		manyCold.p50, float64(manyCold.p50)/float64(fewCold.p50), manyCold.p99, float64(manyCold.p99)/float64(fewCold.p99))
	all := load{connections: connections, least: manyConsumers, request: towns[1].request(func(i int) int { return i })}
	if _, err := all.run(ctx, towns[1].auth, 0); err != nil {
		return err
	}
	fmt.Printf("\n| 1,000,000 consumers | | bar |\n|---|---|---|\n| start to ready | %s | 1 s |\n| resident after start | %s | |\n| resident, 1,000 keys in use | %s | |\n| resident, all keys used once, of which the cache keeps 200,000 | %s | bounded by cache.entries |\n",
		towns[1].ready.Round(time.Millisecond), idle, warmed, residentMemory(towns[1].pid))
	return nil
}

// found fills a Redis and starts a stile.
func (s *stage) found(ctx context.Context, t *town) error {
	address, err := s.start("redis-server", "--port", "@PORT@", "--save", "", "--appendonly", "no")
	if err != nil {
		return err
	}
	url := "redis://" + address + "/0"
	r, err := store.OpenRedis(url)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	before, err := usedMemory(ctx, address)
	if err != nil {
		return err
	}
	start := time.Now()
	if t.keys, err = settle(ctx, r, t.consumers); err != nil {
		return err
	}
	loaded := time.Since(start)
	after, err := usedMemory(ctx, address)
	if err != nil {
		return err
	}
	fmt.Printf("%d consumers with a key each loaded in %s (%.0f consumers/s), %.0f bytes of Redis for each with its key\n",
		t.consumers, loaded.Round(10*time.Millisecond), float64(t.consumers)/loaded.Seconds(), float64(after-before)/float64(t.consumers))
	jwks := filepath.Join(s.dir, "none.json")
	if err := os.WriteFile(jwks, []byte(`{"keys":[]}`), 0o600); err != nil {
		return err
	}
	start = time.Now()
	t.addresses, err = s.stile(url, jwks, false, filepath.Join(s.dir, fmt.Sprint("town-", t.consumers, ".log")))
	t.ready = time.Since(start)
	return err
}

// settle loads consumers with a key each.
func settle(ctx context.Context, to store.Loader, consumers int) (keys []string, err error) {
	const batch = 5_000
	now := time.Now()
	for first := 0; first < consumers; first += batch {
		var records []store.Record
		for c := first; c < min(consumers, first+batch); c++ {
			id := fmt.Sprint("consumer-", c)
			keyID, key := policy.KeyFormat{}.New()
			keys = append(keys, key.Reveal())
			records = append(records,
				store.Record{Consumer: &store.Consumer{
					Consumer: policy.Consumer{ID: id, Username: "Consumer of " + id, Groups: []string{"partners"}}, Version: 1, Created: now, Updated: now,
				}},
				store.Record{Key: &store.Key{ID: keyID, Consumer: id, Hash: policy.PlainKeyHash(key), Created: now, Version: 1}})
		}
		problems, err := to.Load(ctx, records)
		if err != nil {
			return nil, err
		}
		for _, err := range problems {
			if err != nil {
				return nil, err
			}
		}
	}
	return keys, nil
}

// inUse is the load of the first keys.
func (t *town) inUse(name, against string) *testCase {
	return &testCase{name: name, address: t.auth, request: requests("X-Api-Key: ", t.keys[:keysInUse]), kinds: keysInUse, against: against}
}

// first asks about the last keys, which were not used yet.
func (t *town) first(ctx context.Context, n int) (result, error) {
	return load{connections: 1, least: n, request: t.request(func(i int) int { return len(t.keys) - i })}.run(ctx, t.auth, 0)
}

// request makes requests as they are sent: a million at once are too many.
func (t *town) request(key func(i int) int) func(i int) []byte {
	return func(i int) []byte {
		n := len(t.keys)
		return requests("X-Api-Key: ", []string{t.keys[(key(i)%n+n)%n]})(0)
	}
}

// usedMemory is what a Redis says that its data takes, in bytes.
func usedMemory(ctx context.Context, address string) (n int64, err error) {
	c := redis.NewClient(&redis.Options{Addr: address})
	defer func() { _ = c.Close() }()
	text, err := c.Info(ctx, "memory").Result()
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(text, "used_memory:")
	_, err = fmt.Sscan(rest, &n)
	return n, err
}
