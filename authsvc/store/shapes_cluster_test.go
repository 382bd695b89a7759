package store_test

import (
	"context"
	"fmt"
	"slices"
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

// stand makes the consumer acme with the keys k0 and k1.
func (s *shape) stand(t testing.TB, r *store.Redis) {
	t.Helper()
	for _, op := range []operation{create("acme", ""), createKey("k0", "acme", "k0"), createKey("k1", "acme", "k1")} {
		if err := op(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

func is(found bool, err error) error {
	if err == nil && !found {
		return store.ErrNotFound
	}
	return err
}

// toil does operations over and over, each in a goroutine of its own, until it is stopped. None
// may fail.
type toil struct {
	done map[string]*atomic.Int64
	stop func()
}

func startToil(t *testing.T, ops map[string]func(context.Context) error) *toil {
	t.Helper()
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	l := &toil{done: map[string]*atomic.Int64{}, stop: func() { cancel(); wg.Wait() }}
	for name, op := range ops {
		done := &atomic.Int64{}
		l.done[name] = done
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := op(context.WithoutCancel(ctx)); err != nil {
					t.Errorf("%s, after %d times: %v", name, done.Load(), err)
					cancel()
				}
				done.Add(1)
			}
		})
	}
	t.Cleanup(l.stop)
	return l
}

// each waits until each has been done twice more: once from its beginning on.
func (l *toil) each(t *testing.T) {
	t.Helper()
	for name, done := range l.done {
		want := done.Load() + 2
		storetest.Eventually(t, name+" is done", func() bool { return done.Load() >= want || t.Failed() })
	}
}

// anotherThan is the next of the first three.
func anotherThan(c *storetest.Cluster, n *storetest.Redis) *storetest.Redis {
	return c.Nodes[(slices.Index(c.Nodes, n)+1)%3]
}

// What has one key is read and spent at every moment of a slot's way to another node, and a
// spend counts once.
func TestClusterReshards(t *testing.T) {
	c := storetest.StartCluster(t, 3, 0)
	s := clusterShape(c)
	r := s.open(t)
	s.stand(t, r)
	charge := storetest.Charge(storetest.Slow("l", 1_000_000))
	spent := int64(0)
	l := startToil(t, map[string]func(context.Context) error{
		"credential": func(ctx context.Context) error {
			found, err := r.Credential(ctx, storetest.Hash("k0"))
			return is(found != nil, err)
		},
		"consumer": func(ctx context.Context) error {
			found, err := r.Consumer(ctx, "acme")
			return is(found != nil, err)
		},
		"keys": func(ctx context.Context) error {
			found, err := r.Keys(ctx, "acme", "", 0)
			return is(len(found) == 2, err)
		},
		"spend": func(ctx context.Context) error {
			balances, err := r.Spend(ctx, []policy.Charge{charge})
			if err == nil {
				spent++
			}
			return is(err == nil && balances[0].Allowed, err)
		},
	})
	for range 3 {
		for _, key := range []string{"stile:{c:acme}", "stile:key:" + storetest.Hash("k0")} {
			m := c.Begin(t, key, anotherThan(c, c.MasterOf(t, key)))
			l.each(t)
			for _, key := range m.Keys(t) {
				m.Key(t, key)
				l.each(t)
			}
			m.End(t)
			l.each(t)
		}
	}
	l.stop()
	balances, err := r.Peek(t.Context(), []policy.Charge{charge})
	if want := 1_000_000 - spent - 1; err != nil || balances[0].Remaining != want {
		t.Errorf("of %d spends, %d are left, not %d: %v", spent, balances[0].Remaining, want, err)
	}
}

// A script of several keys is refused while some of them are here and some there. It is done
// as soon as they are together again.
func TestClusterReshardsScripts(t *testing.T) {
	c := storetest.StartCluster(t, 3, 0)
	s := clusterShape(c)
	r := s.open(t)
	s.stand(t, r)
	var n atomic.Int64
	two := fourLimits(1_000_000)[2:]
	l := startToil(t, map[string]func(context.Context) error{
		"spend of two": func(ctx context.Context) error { _, err := r.Spend(ctx, two); return err },
		"spend of new ones": func(ctx context.Context) error {
			charges := fourLimits(10)
			for i := range charges {
				charges[i].Counter = fmt.Sprint("key:", n.Add(1))
			}
			_, err := r.Spend(ctx, charges)
			return err
		},
		"update": func(ctx context.Context) error { return update("acme", "")(ctx, r) },
		"mark":   func(ctx context.Context) error { return markUsed("acme", "k0")(ctx, r) },
		"announce": func(ctx context.Context) error {
			_, err := r.Announce(ctx, store.Change{Kind: store.KeyChanged, ID: "k0"})
			return err
		},
		"audit": func(ctx context.Context) error {
			_, err := r.AppendAudit(ctx, store.AuditRecord{Actor: "a", Outcome: "done"})
			return err
		},
		"create and revoke": func(ctx context.Context) error {
			if err := createKey("k2", "acme", "k2")(ctx, r); err != nil {
				return err
			}
			return revoke("k2")(ctx, r)
		},
	})
	l.each(t)
	for range 4 {
		for _, key := range []string{"stile:{c:acme}", "stile:{sys}", "stile:key:" + storetest.Hash("k2")} {
			c.Begin(t, key, anotherThan(c, c.MasterOf(t, key))).End(t)
			l.each(t)
		}
	}
}

// A list that cannot be read as a whole is an error.
func TestClusterListsAllOrNothing(t *testing.T) {
	c := storetest.StartCluster(t, 3, 0, "--cluster-node-timeout", "60000")
	s := clusterShape(c)
	r := s.open(t)
	s.stand(t, r)
	// The refs and the consumer are where the first key is, and the second one elsewhere.
	alive := c.MasterOf(t, "stile:{c:acme}")
	var ids []string
	for i := 0; len(ids) < 2; i++ {
		id := fmt.Sprintf("key-%03d", i)
		here := c.MasterOf(t, "stile:key:"+storetest.Hash(id)) == alive
		if c.MasterOf(t, "stile:ref:key:"+id) == alive && here == (len(ids) == 0) {
			ids = append(ids, id)
		}
	}
	for _, op := range []operation{revoke("k0"), revoke("k1"), createKey(ids[0], "acme", ids[0]), createKey(ids[1], "acme", ids[1])} {
		if err := op(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	c.MasterOf(t, "stile:key:"+storetest.Hash(ids[1])).Kill()
	if list, err := r.Keys(t.Context(), "acme", "", 0); err == nil {
		t.Errorf("listed %d of 2 keys", len(list))
	}
}

// A node that is not asked for anything need not be there.
func TestClusterSpendsWithoutOthers(t *testing.T) {
	c := storetest.StartCluster(t, 1, 1, "--cluster-node-timeout", "60000")
	r := clusterShape(c).open(t)
	charge := storetest.Charge(storetest.Slow("l", 10))
	storetest.Spend(t, r, charge)
	c.Nodes[1].Kill()
	if err := c.Nodes[0].Admin().ScriptFlush(t.Context()).Err(); err != nil { // as one that has come in another's place
		t.Fatal(err)
	}
	if balances, ok := storetest.Spend(t, r, charge); !ok || balances[0].Remaining != 8 {
		t.Errorf("%+v", balances)
	}
}

// gate watches pipelines that have to do with a key. With through it holds them until that is
// closed, and closes held when there is one. Without, it closes passed after the first.
type gate struct {
	key                   string
	held, through, passed chan struct{}
	once                  sync.Once
}

func (g *gate) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if !slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return len(cmd.Args()) > 1 && cmd.Args()[1] == g.key }) {
			return next(ctx, cmds)
		}
		if g.through != nil {
			g.once.Do(func() { close(g.held) })
			<-g.through
			return next(ctx, cmds)
		}
		defer g.once.Do(func() { close(g.passed) })
		return next(ctx, cmds)
	}
}

// The hashes that a key moves between are on two nodes. Who asks both at once must not miss it
// because the second answers before it comes there, and the first after it has left.
func TestClusterKeyIsFoundWhileItMoves(t *testing.T) {
	c := storetest.StartCluster(t, 3, 0)
	s := clusterShape(c)
	id := ""
	from, to := func() string { return storetest.Hash(id) }, func() string { return pepperOf(1).HashKey(storetest.Secret(id)) }
	for i := 0; id == "" || c.MasterOf(t, "stile:key:"+from()) == c.MasterOf(t, "stile:key:"+to()); i++ {
		id = fmt.Sprint("key-", i)
	}
	mover := &stepper{Redis: s.open(t), twice: -1}
	for _, op := range []operation{create("acme", ""), createKey(id, "acme", id)} {
		if err := op(t.Context(), mover.Redis); err != nil {
			t.Fatal(err)
		}
	}
	reader := s.open(t)
	former := &gate{key: "stile:key:" + from(), held: make(chan struct{}), through: make(chan struct{})}
	latter := &gate{key: "stile:key:" + to(), passed: make(chan struct{})}
	reader.Client().(*redis.ClusterClient).OnNewNode(func(node *redis.Client) { node.AddHook(former); node.AddHook(latter) })

	mover.Client().AddHook(mover)
	mover.begin(t.Context(), rehash(id))
	value := func(key string) string { return c.MasterOf(t, key).Admin().Get(t.Context(), key).Val() }
	for strings.Count(value("stile:ref:key:"+id), " ") < 3 { // until it names both hashes
		mover.steps(1)
	}
	found := make(chan *store.Key)
	go func() {
		k, err := reader.Key(t.Context(), id)
		if err != nil {
			t.Error(err)
		}
		found <- k
	}()
	<-former.held
	select {
	case <-latter.passed:
	case <-time.After(100 * time.Millisecond): // it asks one after the other
	}
	old := c.MasterOf(t, former.key).Admin()
	for old.Exists(t.Context(), former.key).Val() == 1 {
		mover.steps(1)
	}
	close(former.through)
	if k := <-found; k == nil {
		t.Error("there seems to be no such key")
	}
	mover.finish()
}
