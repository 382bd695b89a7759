package store_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

// shippedACL are the users that the servers of the shapes with ACL have.
const shippedACL = "../../deploy/redis/stile.acl"

// shape is Redis as it is run, with what a store in it is opened by.
type shape struct {
	url     string
	masters []*storetest.Redis
	all     []*storetest.Redis // and whoever else may refuse a command
	has     func(t testing.TB, key string) *storetest.Redis
}

func standaloneShape(t testing.TB) *shape { return singleShape(storetest.StartRedis(t)) }

func tlsShape(t testing.TB) *shape {
	return singleShape(storetest.StartTLS(t, storetest.ACL(t, shippedACL)...))
}

func singleShape(server *storetest.Redis) *shape {
	all := []*storetest.Redis{server}
	return &shape{server.URL, all, all, func(testing.TB, string) *storetest.Redis { return server }}
}

func clusterShape(c *storetest.Cluster) *shape { return &shape{c.URL, c.Nodes, c.Nodes, c.MasterOf} }

func sentinelShape(s *storetest.Sentinel) *shape {
	master := func(t testing.TB, _ string) *storetest.Redis { return s.Master(t) }
	return &shape{s.URL, s.Redis[:1], slices.Concat(s.Redis, s.Sentinels), master}
}

// open makes a store of its own, more patient than a sidecar's: with the race detector, a
// hundred at once take their time to connect by TLS.
func (s *shape) open(t testing.TB) *store.Redis {
	t.Helper()
	query := "?"
	if strings.Contains(s.url, query) {
		query = "&"
	}
	r, err := store.OpenRedis(s.url + query + "dial_timeout=10s&read_timeout=10s&write_timeout=10s&pool_timeout=10s")
	if err != nil {
		t.Fatal(err)
	}
	r.Now = storetest.Clock
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// empty makes one in a Redis that has nothing.
func (s *shape) empty(t testing.TB) *store.Redis {
	t.Helper()
	s.flush(t)
	return s.open(t)
}

func (s *shape) flush(t testing.TB) {
	t.Helper()
	for _, m := range s.masters {
		if err := m.Admin().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// suites are all that stores are held to. Each test finds the same one, emptied.
func (s *shape) suites(t *testing.T) {
	r := s.open(t)
	t.Run("store", func(t *testing.T) {
		storetest.Run(t, func(t testing.TB) storetest.Store { s.flush(t); return r })
	})
	t.Run("meters", func(t *testing.T) {
		storetest.RunMeters(t, func(t testing.TB) storetest.Meter { s.flush(t); return r })
	})
	t.Run("audit", func(t *testing.T) {
		clients := []storetest.AuditStore{r, s.open(t), s.open(t), s.open(t)}
		storetest.RunAudit(t, func(t testing.TB, n int) []storetest.AuditStore { s.flush(t); return clients[:n] })
	})
	t.Run("revocations", func(t *testing.T) {
		storetest.RunRevocations(t, func(t testing.TB) storetest.RevocationStore { s.flush(t); return r })
	})
	t.Run("records", func(t *testing.T) {
		storetest.RunRecords(t, func(t testing.TB) storetest.LoadStore { s.flush(t); return r })
	})
	t.Run("load", func(t *testing.T) {
		storetest.RunLoad(t, func(t testing.TB) storetest.LoadStore { s.flush(t); return r })
	})
	t.Run("connections lost", func(t *testing.T) { s.testConnectionsLost(t, r) })
	t.Run("changes", func(t *testing.T) { s.testChanges(t, r) })
	t.Run("changes that were set back", func(t *testing.T) { s.testChangesSetBack(t, r) })
}

// testConnectionsLost: a server that ends all connections, as one that starts again does, is
// asked over new ones, and nobody hears of the old.
func (s *shape) testConnectionsLost(t *testing.T, r *store.Redis) {
	s.flush(t)
	ask := func() error { _, err := r.Consumer(t.Context(), "acme"); return err }
	spend := func() error {
		_, err := r.Spend(t.Context(), []policy.Charge{storetest.Charge(storetest.Slow("l", 1000))})
		return err
	}
	for what, op := range map[string]func() error{"ask": ask, "spend": spend} {
		storetest.Eventually(t, "there are many connections", func() bool {
			var wg sync.WaitGroup
			for range 32 {
				wg.Go(func() {
					if err := op(); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			return r.Client().PoolStats().TotalConns >= 8 || t.Failed()
		})
		s.disconnect(t)
		for i := range 20 {
			if err := op(); err != nil {
				t.Fatalf("%s %d: %v", what, i, err)
			}
		}
	}
}

// testChanges: every replica hears of each change once and in order, also where its connection
// was lost in between, and is not waited for when it has gone.
func (s *shape) testChanges(t *testing.T, r *store.Redis) {
	s.flush(t)
	one, two := follow(t, s.open(t), store.FollowerOptions{}), follow(t, s.open(t), store.FollowerOptions{})
	want := one.all()
	for _, id := range []string{"k1", "k2", "k3"} {
		waitApplied(t, r, announce(t, r, store.KeyChanged, id))
		want = append(want, string(store.KeyChanged)+" "+id)
		s.disconnect(t)
	}
	for _, rep := range []*replica{one, two} {
		if got := rep.all(); !slices.Equal(got, want) {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
	two.stop()
	storetest.Eventually(t, "it has gone", func() bool {
		list, err := r.Replicas(t.Context())
		return err == nil && len(list) == 1 && list[0].ID == one.ID()
	})
}

// testChangesSetBack: a replica that was served from a copy of the log, which had not all of
// it and went on with other changes, forgets everything. This is what a failover does.
func (s *shape) testChangesSetBack(t *testing.T, r *store.Redis) {
	s.flush(t)
	rep := follow(t, s.open(t), store.FollowerOptions{})
	for range 2 {
		announce(t, r, store.KeyChanged, "k1")
	}
	waitApplied(t, r, announce(t, r, store.KeyChanged, "k1"))
	db := s.has(t, changesLog).Admin()
	epoch := db.Get(t.Context(), "stile:{sys}:epoch").Val()
	_, err := db.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
		p.ClientKillByFilter(t.Context(), "type", "normal", "skipme", "yes")
		p.Del(t.Context(), changesLog)
		for i, id := range []string{"1-1", "1-2", "1-3", "*"} { // the last is the first after what was read
			p.XAdd(t.Context(), &redis.XAddArgs{Stream: changesLog, ID: id, Values: []any{
				"epoch", epoch, "n", i + 1, "kind", "key", "id", "k2",
			}})
		}
		p.Set(t.Context(), "stile:{sys}:change-seq", 4, 0)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rep.forgetHeard()
	waitApplied(t, r, announce(t, r, store.KeyChanged, "k3"))
	if heard := rep.all(); !slices.Contains(heard, "reset") {
		t.Errorf("heard %q, and nothing of changes 2 and 3", heard)
	}
}

// disconnect ends all connections but the rig's own.
func (s *shape) disconnect(t testing.TB) {
	t.Helper()
	for _, m := range s.masters {
		if err := m.Admin().ClientKillByFilter(t.Context(), "type", "normal", "skipme", "yes").Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever way Redis is run in, the store means the same. Without TLS and ACL, the shapes are
// those of TestLeastRights and TestFailover.
func TestShapes(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *shape{
		"standalone": standaloneShape,
		"TLS, ACL":   tlsShape,
		"cluster, TLS, ACL": func(t testing.TB) *shape {
			return clusterShape(storetest.StartCluster(t, 3, 0, append(storetest.TLS(t), storetest.ACL(t, shippedACL)...)...))
		},
		"sentinel, TLS, ACL": func(t testing.TB) *shape {
			return sentinelShape(storetest.StartSentinel(t, append(storetest.TLS(t), storetest.ACL(t, shippedACL)...)...))
		},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			s := start(t)
			started := time.Since(began)
			s.suites(t)
			t.Logf("started in %v, all in %v", started, time.Since(began))
			for _, server := range s.all {
				if refused := refusals(t, server); len(refused) > 0 {
					t.Errorf("%s refused %q", server.Addr, refused)
				}
			}
		})
	}
}

// refusals are the commands that a server refused for want of rights.
func refusals(t testing.TB, server *storetest.Redis) (commands []string) {
	t.Helper()
	log, err := server.Admin().ACLLog(t.Context(), 1000).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range log {
		commands = append(commands, e.Username+": "+e.Reason+" "+e.Object)
	}
	return commands
}
