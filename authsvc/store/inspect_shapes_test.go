package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

func wantNode(t testing.TB, in store.Inspection, node, name string, level store.Level) {
	t.Helper()
	for _, f := range in.Checks {
		if f.Node == node && f.Name == name && f.Level == level {
			return
		}
	}
	t.Errorf("%s of %s is not %s:\n%s", name, node, level, lines(in))
}

func TestInspectCluster(t *testing.T) {
	c := storetest.StartCluster(t, 3, 1, append(storetest.ACL(t, shippedACL), "--appendonly", "yes")...)
	admin := as(t, c.URL, "admin", "pa/ss")
	in := inspect(t, admin)
	wantNoFail(t, in)
	wantFinding(t, in, "cluster", store.LevelOK, "cluster_state ok, all 16384 slots have a node, 3 masters", "cluster-require-full-coverage yes")
	wantFinding(t, in, "clock", store.LevelOK, "the nodes are within")
	for _, n := range c.Nodes[:3] {
		for _, name := range []string{"reach", "version", "write", "acl", "replication"} {
			wantNode(t, in, n.Addr, name, store.LevelOK)
		}
		if keys := n.Admin().Keys(t.Context(), "*").Val(); len(keys) > 0 {
			t.Errorf("left behind: %q", keys)
		}
	}
	wantNode(t, in, c.Nodes[3].Addr, "reach", store.LevelOK)

	in = inspect(t, c.URL) // as stile
	wantNoFail(t, in)
	wantFinding(t, in, "replication", store.LevelOK, "a master with 1 replica", "may not see")
	wantFinding(t, in, "cluster", store.LevelOK, "all 16384 slots have a node, 3 masters")

	one := as(t, c.Nodes[0].URL, "admin", "pa/ss")
	wantFinding(t, inspect(t, one), "reach", store.LevelFail, "node of a cluster", "redis+cluster://"+c.Nodes[0].Addr)

	// A replica is gone, and so is a slot.
	c.Nodes[3].Kill()
	storetest.Eventually(t, "it is missed", func() bool {
		return strings.Contains(c.Nodes[0].Admin().ClusterNodes(t.Context()).Val(), "slave,fail ")
	})
	do(t, c.Nodes[1], "cluster", "delslots", 5461)
	storetest.Eventually(t, "the slot is missed", func() bool {
		return strings.Contains(c.Nodes[1].Admin().ClusterInfo(t.Context()).Val(), "cluster_state:fail")
	})
	// The others are not told of it.
	wantFinding(t, inspect(t, admin), "cluster", store.LevelWarn, c.Nodes[1].Addr+" and "+c.Nodes[0].Addr+" do not agree")
	in = inspect(t, strings.Replace(admin, c.Nodes[0].Addr, c.Nodes[1].Addr, 1))
	wantNode(t, in, c.Nodes[0].Addr, "replication", store.LevelWarn)
	wantFinding(t, in, "replication", store.LevelWarn, "a master without a replica")
	wantFinding(t, in, "cluster", store.LevelFail, "16383 of 16384 slots have a node, but not 5461", "redis-cli --cluster fix")
	wantNode(t, in, c.Nodes[1].Addr, "write", store.LevelFail)
	wantFinding(t, in, "write", store.LevelFail, "not whole")
	wantNode(t, in, c.Nodes[3].Addr, "reach", store.LevelWarn) // the others tell where keys are
}

// A master that hangs is one that fails, and the others are looked at.
func TestInspectClusterFrozen(t *testing.T) {
	c := storetest.StartCluster(t, 3, 0, "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "60000")
	c.Nodes[2].Freeze()
	defer c.Nodes[2].Thaw()
	start := time.Now()
	in := inspect(t, c.URL)
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	wantNode(t, in, c.Nodes[2].Addr, "reach", store.LevelFail)
	wantNode(t, in, c.Nodes[0].Addr, "write", store.LevelOK)
	wantFinding(t, in, "cluster", store.LevelOK, "full-coverage no")
}

func TestInspectClusterUnassigned(t *testing.T) {
	server := storetest.StartRedis(t, "--cluster-enabled", "yes")
	in := inspect(t, "redis+cluster://"+server.Addr)
	wantFinding(t, in, "cluster", store.LevelFail, "0 of 16384 slots have a node, but not 0-16383")
}

func TestInspectSentinel(t *testing.T) {
	s := storetest.StartSentinel(t, append(storetest.ACL(t, shippedACL), "--appendonly", "yes")...)
	in := inspect(t, as(t, s.URL, "admin", "pa/ss")) // to the Sentinels we are stile
	wantNoFail(t, in)
	for _, one := range s.Sentinels {
		wantNode(t, in, "sentinel "+one.Addr, "reach", store.LevelOK)
		wantNode(t, in, "sentinel "+one.Addr, "acl", store.LevelOK)
	}
	wantFinding(t, in, "quorum", store.LevelOK, "3 Sentinels (this user may not see the quorum): a failover can happen")
	wantNode(t, in, s.Redis[0].Addr, "replication", store.LevelOK)
	wantNode(t, in, s.Redis[0].Addr, "write", store.LevelOK)

	do(t, s.Sentinels[0], "acl", "setuser", "stile", "-sentinel|sentinels", "resetchannels")
	wantFinding(t, inspect(t, s.URL), "acl", store.LevelWarn, "+sentinel|sentinels", "+switch-master", "heard of late")
	do(t, s.Sentinels[0], "acl", "setuser", "stile", "-sentinel|get-master-addr-by-name")
	wantFinding(t, inspect(t, s.URL), "reach", store.LevelWarn, "may not ask who the master is")
}

func TestInspectSentinelFaults(t *testing.T) {
	s := storetest.StartSentinel(t)
	in := inspect(t, s.URL)
	wantNoFail(t, in)
	wantFinding(t, in, "quorum", store.LevelOK, "3 Sentinels, quorum 2: a failover can happen")

	in = inspect(t, strings.TrimSuffix(s.URL, "main")+"other")
	wantFinding(t, in, "reach", store.LevelFail, "knows no master other, but main", "sentinel monitor NAME")
	if len(in.Checks) != 3 {
		t.Error(lines(in))
	}
	wantFinding(t, inspect(t, "redis://"+s.Sentinels[0].Addr), "reach", store.LevelFail, "it is a Sentinel", "redis+sentinel://"+s.Sentinels[0].Addr)

	s.Sentinels[2].Kill()
	storetest.Eventually(t, "it is missed", func() bool {
		in = inspect(t, s.URL)
		return strings.Contains(lines(in), "3 Sentinels, of which "+s.Sentinels[2].Addr+" do not answer, quorum 2")
	})
	wantNoFail(t, in)
	wantFinding(t, in, "reach", store.LevelWarn, "refused")

	s.Redis[1].Kill()
	storetest.Eventually(t, "the replica is missed", func() bool {
		return strings.Contains(lines(inspect(t, s.URL)), "a master without a replica: no failover can happen")
	})

	do(t, s.Sentinels[0], "sentinel", "remove", "main")
	do(t, s.Sentinels[0], "sentinel", "monitor", "main", "127.0.0.1", "1", "2")
	in = inspect(t, s.URL)
	wantFinding(t, in, "master", store.LevelFail, "different masters: 127.0.0.1:1 (by "+s.Sentinels[0].Addr+"), "+s.Redis[0].Addr, "SENTINEL RESET main")
	wantFinding(t, in, "reach", store.LevelFail, "nothing listens at 127.0.0.1:1", "replica-announce-ip")

	s.Sentinels[0].Kill()
	storetest.Eventually(t, "too few are left", func() bool {
		return strings.Contains(lines(inspect(t, s.URL)), "no failover can happen, it takes 2")
	})
	s.Sentinels[1].Kill()
	in = inspect(t, s.URL)
	wantFinding(t, in, "reach", store.LevelFail, "refused")
	if len(in.Checks) != 3 {
		t.Error(lines(in))
	}
}

// The master hangs, and the Sentinels have not found out yet.
func TestInspectSentinelFrozen(t *testing.T) {
	s := storetest.StartSentinel(t)
	for _, one := range s.Sentinels {
		do(t, one, "sentinel", "set", "main", "down-after-milliseconds", 60_000)
	}
	s.Redis[0].Freeze()
	defer s.Redis[0].Thaw()
	start := time.Now()
	in := inspect(t, s.URL)
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	wantNode(t, in, s.Redis[0].Addr, "reach", store.LevelFail)
}
