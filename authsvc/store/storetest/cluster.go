package storetest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Cluster is a Redis Cluster of a test's own.
type Cluster struct {
	URL   string   // redis+cluster://, and every node
	Nodes []*Redis // those that began as masters first
}

// patience is how long a server that may be frozen is asked while others are waited for.
const patience = 300 * time.Millisecond

// slots is how many a cluster has.
const slots = 16384

// StartCluster starts a cluster, waits until every node has found it whole and every replica
// is in sync, and ends it with the test. A node that is gone for a second counts as failed,
// unless the arguments have another --cluster-node-timeout.
func StartCluster(t testing.TB, masters, replicasEach int, args ...string) *Cluster {
	t.Helper()
	args = append([]string{
		"--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-announce-ip", "127.0.0.1",
		"--cluster-replica-validity-factor", "0", "--cluster-allow-replica-migration", "no",
	}, args...)
	c := &Cluster{Nodes: startServers(t, masters*(1+replicasEach), args, serverLine(args))}
	hosts := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		hosts[i] = n.Addr
	}
	c.URL = c.Nodes[0].urlOf("redis+cluster", strings.Join(hosts, ","), "")
	c.meet(t)
	for i, n := range c.Nodes[:masters] {
		n.do(t, "cluster", "addslotsrange", i*slots/masters, (i+1)*slots/masters-1)
	}
	for i, n := range c.Nodes[masters:] {
		n.do(t, "cluster", "replicate", c.Nodes[i%masters].id(t))
	}
	for _, n := range c.Nodes[:masters] {
		n.do(t, "flushall") // a replica that has not been told of any write is not listed
	}
	c.WaitWhole(t)
	return c
}

// do is for what must succeed.
func (r *Redis) do(t testing.TB, args ...any) any {
	t.Helper()
	answer, err := r.admin.Do(t.Context(), args...).Result()
	if err != nil {
		t.Fatalf("%v of %s: %v", args[:min(len(args), 2)], r.Addr, err)
	}
	return answer
}

// id is a node's name in its cluster.
func (r *Redis) id(t testing.TB) string {
	t.Helper()
	return r.do(t, "cluster", "myid").(string)
}

// meet makes all nodes know each other. Each has an epoch of its own, or two masters would
// have to find out first whose comes first.
func (c *Cluster) meet(t testing.TB) {
	t.Helper()
	for i, n := range c.Nodes {
		n.do(t, "cluster", "set-config-epoch", i+1)
		for _, other := range c.Nodes[:i] {
			host, port, _ := strings.Cut(other.Addr, ":")
			n.do(t, "cluster", "meet", host, port)
		}
	}
	for _, n := range c.Nodes {
		Eventually(t, "the nodes know each other", func() bool {
			known, err := n.admin.ClusterNodes(t.Context()).Result()
			return err == nil && strings.Count(known, "\n") == len(c.Nodes) && !strings.Contains(known, "handshake")
		})
	}
}

// WaitWhole waits until every node that has not ended has found the cluster whole, all of
// these see the same nodes at the same slots, none but themselves, and the replicas are in
// sync.
func (c *Cluster) WaitWhole(t testing.TB) {
	t.Helper()
	Eventually(t, "the cluster is whole", func() bool {
		first, up := "", 0
		for _, n := range c.Nodes {
			if n.ended() {
				continue
			}
			up++
			view, ok := n.view(t.Context())
			if !ok || first != "" && view != first {
				return false
			}
			first = view
		}
		return len(strings.Fields(first)) == up
	})
}

// view is which nodes have slots, as a node sees it: the masters in the order of their first
// slots, each with its replicas. It answers false when that node does not see a whole cluster,
// or is a replica that is not in sync.
func (r *Redis) view(ctx context.Context) (view string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	info, err := r.admin.ClusterInfo(ctx).Result()
	if err != nil || !strings.Contains(info, "cluster_state:ok") {
		return "", false
	}
	replication, err := r.admin.Info(ctx, "replication").Result()
	if err != nil || strings.Contains(replication, "master_link_status:down") {
		return "", false
	}
	ranges, err := r.ranges(ctx)
	if err != nil {
		return "", false
	}
	slices.SortFunc(ranges, func(a, b redis.ClusterSlot) int { return a.Start - b.Start })
	var nodes []string
	for _, s := range ranges {
		slices.SortFunc(s.Nodes[1:], func(a, b redis.ClusterNode) int { return strings.Compare(a.Addr, b.Addr) })
		for _, node := range s.Nodes {
			if !slices.Contains(nodes, node.Addr) {
				nodes = append(nodes, node.Addr)
			}
		}
	}
	return strings.Join(nodes, " "), true
}

// ranges are the slots, and who has them, as a node sees it. Those of one master may be in
// several.
func (r *Redis) ranges(ctx context.Context) ([]redis.ClusterSlot, error) {
	cmd := redis.NewClusterSlotsCmd(ctx, "cluster", "slots")
	err := r.admin.Process(ctx, cmd)
	return cmd.Val(), err
}

func (r *Redis) ended() bool {
	select {
	case <-r.gone:
		return true
	default:
		return false
	}
}

// MasterOf is the node that has the slot of a key by its own account, as soon as there is
// exactly one. One that is frozen is not asked for long.
func (c *Cluster) MasterOf(t testing.TB, key string) (master *Redis) {
	t.Helper()
	Eventually(t, "the slot of "+key+" has one master", func() bool {
		var claim []*Redis
		for _, n := range c.Nodes {
			if !n.ended() && n.claims(t.Context(), key) {
				claim = append(claim, n)
			}
		}
		if len(claim) == 1 {
			master = claim[0]
		}
		return len(claim) == 1
	})
	return master
}

// claims tells whether a node takes itself for the master of a key's slot.
func (r *Redis) claims(ctx context.Context, key string) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	slot, err := r.admin.ClusterKeySlot(ctx, key).Result()
	if err != nil {
		return false
	}
	ranges, err := r.ranges(ctx)
	if err != nil {
		return false
	}
	for _, s := range ranges {
		if int64(s.Start) <= slot && slot <= int64(s.End) && len(s.Nodes) > 0 {
			return s.Nodes[0].Addr == r.Addr
		}
	}
	return false
}
