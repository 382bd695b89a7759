package store_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// unhurried is for a machine that does much else: without it the times are those of a sidecar.
const unhurried = "?dial_timeout=10s&read_timeout=10s&write_timeout=10s&pool_timeout=10s"

// openUnhurried makes a store on a server of its own.
func openUnhurried(t testing.TB) *store.Redis {
	t.Helper()
	r, err := store.OpenRedis(storetest.StartRedis(t).URL + unhurried)
	if err != nil {
		t.Fatal(err)
	}
	r.Now = storetest.Clock
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func TestMemoryRecords(t *testing.T) {
	storetest.RunRecords(t, func(testing.TB) storetest.LoadStore {
		m := store.NewMemory()
		m.Now = storetest.Clock
		return m
	})
}

func TestFileRecords(t *testing.T) {
	storetest.RunRecords(t, func(t testing.TB) storetest.LoadStore { return openFile(t) })
}

// TestRedisLoadRaces has many writers at the same few consumers and keys.
func TestRedisLoadRaces(t *testing.T) {
	server := storetest.StartRedis(t)
	r := openRedis(t, server)
	const few = 6
	for round := range 20 {
		if err := r.Client().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		var writers sync.WaitGroup
		for i := range 8 {
			dice := rand.New(rand.NewPCG(uint64(round), uint64(i)))
			writers.Go(func() {
				for range 15 {
					write(t, r, dice, few)
				}
			})
		}
		writers.Wait()
		for _, c := range []string{"c000", "c001", "c002", "c003", "c004", "c005"} {
			_, _ = r.UpdateConsumer(t.Context(), storetest.Consumer(c)) // what a write that failed left to do
		}
		if broken := audit(t, r); broken != "" {
			t.Fatalf("round %d: %s", round, broken)
		}
	}
}

// write does one thing to few consumers and keys, or loads them all.
func write(t *testing.T, r *store.Redis, dice *rand.Rand, few int) {
	ctx, n := t.Context(), dice.IntN(few)
	records := storetest.Records(few)
	consumer, key := *records[n].Consumer, *records[few+n].Key
	var err error
	switch dice.IntN(8) {
	case 0:
		_, err = r.CreateConsumer(ctx, consumer)
	case 1:
		consumer.Version, consumer.CustomID = 0, records[dice.IntN(few)].Consumer.CustomID
		_, err = r.UpdateConsumer(ctx, consumer)
	case 2:
		err = r.DeleteConsumer(ctx, consumer.ID)
	case 3:
		err = r.CreateKey(ctx, key)
	case 4:
		err = r.RevokeKey(ctx, key.ID)
	case 5:
		err = r.RehashKey(ctx, key.ID, key.Hash, pepperOf(1).HashKey(storetest.Secret(key.ID)))
	default:
		var problems []error
		problems, err = r.Load(ctx, records[:2*few])
		for _, problem := range problems {
			wantRefusal(t, problem)
		}
	}
	wantRefusal(t, err)
}

func wantRefusal(t *testing.T, err error) {
	if err != nil && !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

// TestRedisLoadGoesOn kills a loader after each of its round trips. The same can be loaded
// soon after, when what it held is known to be left behind.
func TestRedisLoadGoesOn(t *testing.T) {
	server := storetest.StartRedis(t)
	r, s := openRedis(t, server), newStepper(t, server)
	records := storetest.Records(5)[:10]
	all := func(ctx context.Context, r *store.Redis) error {
		problems, err := r.Load(ctx, records)
		return errors.Join(append(problems, err)...)
	}
	for i, more := 0, true; more; i++ {
		db := r.Client()
		if err := db.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		s.begin(t.Context(), all)
		more = s.steps(i)
		s.die()
		for _, name := range db.Keys(t.Context(), "stile:key:*").Val() { // a while goes by
			if left := db.PTTL(t.Context(), name).Val(); left > 0 {
				db.PExpire(t.Context(), name, left-11*time.Second)
			}
		}
		if err := all(t.Context(), r); err != nil {
			t.Errorf("after %d round trips: %v", i, err)
		}
		if broken := audit(t, r); broken != "" {
			t.Errorf("after %d round trips: %s", i, broken)
		}
		for _, record := range records[5:] {
			if found, err := r.Credential(t.Context(), record.Key.Hash); err != nil || found == nil || found.Key.Version != record.Key.Version {
				t.Errorf("after %d round trips: %+v, %v", i, found, err)
			}
		}
	}
}

// A loader who finds that another is at work on a key leaves it to that one.
func TestRedisLoadLeavesToOthers(t *testing.T) {
	server := storetest.StartRedis(t)
	r, s := openRedis(t, server), newStepper(t, server)
	seed(t, r)
	s.begin(t.Context(), createKey("k1", "acme", "k1"))
	s.steps(1) // its hash is reserved
	err := loadKey("k1")(t.Context(), r)
	if !errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), `"k1"`) {
		t.Errorf("load: %v", err)
	}
	s.finish()
	if found, err := r.Credential(t.Context(), storetest.Hash("k1")); err != nil || found == nil || found.Key.Version != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	if broken := audit(t, r); broken != "" {
		t.Error(broken)
	}
}

// A consumer who is being deleted is not written until that has ended.
func TestRedisLoadAfterDeletion(t *testing.T) {
	server := storetest.StartRedis(t)
	r, s := openRedis(t, server), newStepper(t, server)
	seed(t, r)
	_ = remove("other")(t.Context(), r) // so that the server knows the scripts
	s.begin(t.Context(), remove("acme"))
	s.steps(1)
	if err := loadConsumer("acme", "y")(t.Context(), r); !errors.Is(err, store.ErrConflict) {
		t.Errorf("while it is deleted: %v", err)
	}
	s.finish()
	if err := loadConsumer("acme", "x")(t.Context(), r); err != nil {
		t.Errorf("when it is: %v", err)
	}
	if broken := audit(t, r); broken != "" {
		t.Error(broken)
	}
}
