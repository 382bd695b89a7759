package store_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

func TestRedisMeter(t *testing.T) {
	server := storetest.StartRedis(t)
	storetest.RunMeters(t, meterOpener(server))
}

func meterOpener(server *storetest.Redis) func(testing.TB) storetest.Meter {
	return func(t testing.TB) storetest.Meter {
		r := openRedis(t, server)
		flush(t, r)
		return r
	}
}

func flush(t testing.TB, r *store.Redis) {
	t.Helper()
	if err := r.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

// In cluster mode a script that touches two slots fails, so a hash tag that a slot's name
// could break would show.
func TestRedisMeterInCluster(t *testing.T) {
	server := storetest.StartRedis(t, "--cluster-enabled", "yes")
	db := openRedis(t, server).Client()
	if err := db.Do(t.Context(), "cluster", "addslotsrange", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "the cluster is up", func() bool { return db.Set(t.Context(), "x", 1, 0).Err() == nil })
	storetest.RunMeters(t, meterOpener(server))
}

// patient is a store for more requests at once than a sidecar would have, under -race.
func patient(t testing.TB, server *storetest.Redis) *store.Redis {
	t.Helper()
	r, err := store.OpenRedis(server.URL + "?pool_timeout=30s&read_timeout=30s&dial_timeout=30s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// flood spends on all meters at once, and counts what was allowed.
func flood(t *testing.T, meters []policy.Meter, goroutines, each int, charges ...policy.Charge) int64 {
	t.Helper()
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for _, m := range meters {
		for range goroutines {
			wg.Go(func() {
				for range each {
					if _, ok := storetest.Spend(t, m, charges...); ok {
						allowed.Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	return allowed.Load()
}

func TestRedisNeverOversells(t *testing.T) {
	server := storetest.StartRedis(t)
	var meters []policy.Meter
	for range 3 {
		meters = append(meters, patient(t, server))
	}
	const n = 100
	for round := range 20 {
		rate := storetest.Charge(storetest.Slow("rate", n))
		quota := storetest.Charge(storetest.Yearly("quota", n))
		rate.Slot, quota.Slot = "r:rate"+string(rune('a'+round)), "r:quota"+string(rune('a'+round))
		for _, c := range []policy.Charge{rate, quota} {
			if allowed := flood(t, meters, 64, 2, c); allowed != n {
				t.Errorf("round %d: %s allowed %d, not %d", round, c.Limit.Name, allowed, n)
			}
		}
	}
}

// fourLimits are three rates and a quota of one slot.
func fourLimits(room int64) []policy.Charge {
	return []policy.Charge{
		storetest.Charge(storetest.Slow("a", room)), storetest.Charge(storetest.Slow("b", room)),
		storetest.Charge(storetest.Slow("c", room)), storetest.Charge(storetest.Yearly("d", room)),
	}
}

func TestRedisMeterOneRoundTrip(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	charges := fourLimits(3)
	storetest.Spend(t, r, charges...) // learns the server's clock, loads the script
	n := &trips{}
	r.Client().AddHook(n)
	for want := int64(1); want <= 4; want++ { // the last two are refused
		storetest.Spend(t, r, charges...)
		if n.Load() != want {
			t.Errorf("%d round trips, not %d", n.Load(), want)
		}
	}
}

func TestRedisMeterKeysExpire(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	charges := fourLimits(3)
	charges[1].Counter, charges[3].Counter = "key:1", "claim:2"
	for range 5 {
		storetest.Spend(t, r, charges...)
	}
	keys, err := r.Client().Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 4 {
		t.Fatalf("keys are %q, %v", keys, err)
	}
	for _, key := range keys {
		ttl, err := r.Client().PTTL(t.Context(), key).Result()
		if err != nil || ttl <= 0 || ttl > 367*24*time.Hour {
			t.Errorf("%s lives for %v: %v", key, ttl, err)
		}
		switch rest, ok := strings.CutPrefix(key, "stile:{c:acme}:"); {
		case !ok:
			t.Errorf("key %s is not of acme", key)
		case rest == "limit:a", rest == "limit:b:key:1", rest == "limit:c", strings.HasPrefix(rest, "quota:d:claim:2:"):
		default:
			t.Errorf("key %s", key)
		}
	}
}

func TestRedisMeterCorrupt(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	for _, l := range []*policy.Limit{storetest.Slow("l", 3), storetest.Yearly("q", 3)} {
		flush(t, r)
		storetest.Spend(t, r, storetest.Charge(l))
		keys, _ := r.Client().Keys(t.Context(), "*").Result()
		good := storetest.Charge(storetest.Slow("good", 3))
		for _, value := range []string{"", "x", "nan", "inf", "-1", "1.5", "1e400", "99999999999999999999", "0x10", " 5", "1e3", "01", "a list"} {
			r.Client().Del(t.Context(), keys[0])
			if value == "a list" {
				r.Client().LPush(t.Context(), keys[0], "1")
			} else {
				r.Client().Set(t.Context(), keys[0], value, 0)
			}
			for what, ask := range map[string]func(context.Context, []policy.Charge) ([]policy.Balance, error){
				"spend": r.Spend, "peek": r.Peek, "meter": store.NewMeter(store.MeterOptions{Remote: r}).Spend,
			} {
				balances, err := ask(t.Context(), []policy.Charge{good, storetest.Charge(l)})
				if !errors.Is(err, store.ErrCorrupt) || balances != nil {
					t.Errorf("%s of %q: %v, %v", what, value, balances, err)
				}
			}
		}
		if balances, ok := storetest.Spend(t, r, good); !ok || balances[0].Remaining != 2 {
			t.Errorf("something was spent beside a corrupt counter: %+v", balances)
		}
	}
}

// A bucket that is full in a far future is one of a clock that was set back.
func TestRedisMeterClockSetBack(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	l := &policy.Limit{Name: "l", Rate: policy.Rate{Count: 20, Period: time.Second, Burst: 2}}
	if err := r.Client().Set(t.Context(), "stile:{c:acme}:limit:l", int64(1)<<52, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, ok := storetest.Spend(t, r, storetest.Charge(l)); ok {
		t.Error("allowed at once")
	}
	storetest.Eventually(t, "it refills", func() bool { _, ok := storetest.Spend(t, r, storetest.Charge(l)); return ok })
}

// Whatever our clock says, the server's counts.
func TestRedisMeterSkewedClocks(t *testing.T) {
	server := storetest.StartRedis(t)
	c := storetest.Charge(storetest.Yearly("q", 8))
	for _, years := range []int{-30, -1, 0, 1, 30} {
		r := openRedis(t, server)
		r.Now = func() time.Time { return time.Now().AddDate(years, 0, 0) }
		balances, ok := storetest.Spend(t, r, c)
		if !ok || balances[0].Reset <= 0 || balances[0].Reset > 366*24*time.Hour {
			t.Errorf("%d years off: %+v", years, balances)
		}
	}
	r := openRedis(t, server)
	if balances, _ := storetest.Spend(t, r, c); balances[0].Remaining != 2 {
		t.Errorf("not all counted together: %+v", balances)
	}
}

// lossy loses every answer, after the server has done what it was asked.
type lossy struct {
	net.Conn
	on *atomic.Bool
}

func (l lossy) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if l.on.Load() && err == nil {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// A client that got no answer says so, rather than charge again.
func TestRedisMeterIsNotRepeated(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	c := storetest.Charge(storetest.Slow("l", 10))
	var on atomic.Bool
	options := r.Client().(*redis.Client).Options()
	dial := options.Dialer
	options.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return lossy{conn, &on}, err
	}
	storetest.Spend(t, r, c)
	on.Store(true)
	if balances, err := r.Spend(t.Context(), []policy.Charge{c}); err == nil {
		t.Errorf("answered %+v", balances)
	}
	on.Store(false)
	if balances, _ := storetest.Spend(t, r, c); balances[0].Remaining != 7 {
		t.Errorf("the lost one was charged for otherwise than once: %+v", balances)
	}
}

// The parallelism is that of requests which wait for one Redis.
const spenders = 16

func BenchmarkSpend(b *testing.B) {
	r := openRedis(b, storetest.StartRedis(b))
	r.Now = time.Now
	charges := fourLimits(1_000_000_000)
	for _, c := range charges[:3] {
		c.Limit.Rate.Count, c.Limit.Rate.Period = 1000, time.Second
		c.Limit.Rate.Burst = 10_000_000
	}
	benchParallel(b, func() error { _, err := r.Spend(b.Context(), charges); return err })
}

func BenchmarkBareEvalsha(b *testing.B) {
	r := openRedis(b, storetest.StartRedis(b))
	bare := redis.NewScript("return 1")
	benchParallel(b, func() error { return bare.Run(b.Context(), r.Client(), []string{"x"}).Err() })
}

func benchParallel(b *testing.B, call func() error) {
	b.Helper()
	if err := call(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetParallelism(spenders)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := call(); err != nil {
				b.Error(err)
			}
		}
	})
}
