package store_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// TestRedisRehashUnfinished moves a key that is only being made: it is moved, or left alone.
func TestRedisRehashUnfinished(t *testing.T) {
	server := storetest.StartRedis(t)
	r, maker, mover := openRedis(t, server), newStepper(t, server), newStepper(t, server)
	seed(t, r)
	for _, op := range []operation{createKey("k1", "acme", "k1"), rehash("k1")} {
		_ = op(t.Context(), r)
	}
	seed(t, r)
	reset := snapshot(t, r.Client())
	for i, more := 1, true; more; i++ {
		for j, moreJ := 1, true; moreJ; j++ {
			reset()
			maker.begin(t.Context(), createKey("k1", "acme", "k1"))
			more = maker.steps(i)
			mover.begin(t.Context(), rehash("k1"))
			moreJ = mover.steps(j)
			maker.finish()
			mover.finish()
			if broken := audit(t, r); broken != "" || either(t, r, "k1") == nil {
				t.Fatalf("made in %d steps, moved in %d: %s, %v", i, j, broken, either(t, r, "k1"))
			}
		}
	}
}

// TestRedisRehashBetween moves a key between two round trips of who goes by its id.
func TestRedisRehashBetween(t *testing.T) {
	server := storetest.StartRedis(t)
	r, s := openRedis(t, server), newStepper(t, server)
	for name, op := range map[string]operation{
		"key": func(ctx context.Context, r *store.Redis) error {
			k, err := r.Key(ctx, "k0")
			if k == nil && err == nil {
				err = store.ErrNotFound
			}
			return err
		},
		"keys": func(ctx context.Context, r *store.Redis) error {
			list, err := r.Keys(ctx, "acme", "", 0)
			if len(list) != 1 && err == nil {
				err = store.ErrNotFound
			}
			return err
		},
		"update": updateKey("k0", 1),
		"create": func(ctx context.Context, r *store.Redis) error {
			if err := createKey("k0", "acme", "k1")(ctx, r); !errors.Is(err, store.ErrExists) {
				return errors.New("the id is not taken")
			}
			return nil
		},
	} {
		for i, more := 0, true; more; i++ {
			seed(t, r)
			var got error
			s.begin(t.Context(), func(ctx context.Context, r *store.Redis) error {
				got = op(ctx, r)
				return got
			})
			more = s.steps(i)
			if err := rehash("k0")(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			s.finish()
			if broken := audit(t, r); got != nil || broken != "" {
				t.Errorf("%s, moved after %d steps: %v, %s", name, i, got, broken)
			}
		}
	}
}

// repeated makes a client send an update of a key once more, as if its answer had been lost,
// and does something before.
type repeated struct{ before func() }

func (h repeated) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h repeated) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h repeated) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if slices.Contains(cmd.Args(), any("stile:key:"+storetest.Hash("k0"))) && cmd.Name() == "evalsha" && err == nil {
			h.before()
			return next(ctx, cmd)
		}
		return err
	}
}

// TestRedisRehashAnswerLost moves a key after an update whose answer was lost: it was made
// once, and told so.
func TestRedisRehashAnswerLost(t *testing.T) {
	server := storetest.StartRedis(t)
	r, other := openRedis(t, server), openRedis(t, server)
	seed(t, r)
	_ = updateKey("k0", 1)(t.Context(), r) // so that the server knows the script
	seed(t, r)
	other.Client().AddHook(repeated{func() {
		if err := rehash("k0")(t.Context(), r); err != nil {
			t.Error(err)
		}
	}})
	if err := updateKey("k0", 1)(t.Context(), other); err != nil {
		t.Error(err)
	}
	if found := either(t, r, "k0"); found == nil || found.Key.Version != 2 || found.Key.Hash != movedHash("k0") {
		t.Errorf("%+v", found)
	}
}
