package store

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// inspectCluster looks at the nodes that the URL names, and at every master.
func inspectCluster(ctx context.Context, u redisURL, now func() time.Time) (all []Finding) {
	c := &clusterInspection{url: u, now: now, byAddr: map[string]*redisNode{}}
	defer c.close()
	for _, host := range u.hosts {
		c.node(host)
	}
	named := slices.Clone(c.nodes)
	atOnce(named, func(n *redisNode) { n.reach(ctx) })
	asked := slices.IndexFunc(named, func(n *redisNode) bool { return n.reached.Level == LevelOK })
	if asked < 0 {
		for _, n := range named {
			all = append(all, n.reached)
		}
		return all
	}
	whole := check[*redisNode]{"cluster", c.checkCluster}.of(ctx, named[asked], "")
	for _, n := range named {
		if slices.Contains(c.masters, n) {
			continue
		}
		if n.reached.Level == LevelFail {
			n.reached.Level = LevelWarn // others tell where the keys are
		}
		all = append(all, n.reached)
	}
	all = append(append([]Finding{whole}, all...), inspectNodes(ctx, c.masters)...)
	if f, ok := compareClocks(c.masters); ok {
		all = append(all, f)
	}
	return all
}

type clusterInspection struct {
	url     redisURL
	now     func() time.Time
	byAddr  map[string]*redisNode
	nodes   []*redisNode
	masters []*redisNode
}

// node is the one of an address.
func (c *clusterInspection) node(addr string) *redisNode {
	n := c.byAddr[addr]
	if n == nil {
		n = newRedisNode(c.url, addr, addr, c.now)
		c.byAddr[addr] = n
		c.nodes = append(c.nodes, n)
	}
	return n
}

func (c *clusterInspection) close() {
	for _, n := range c.nodes {
		n.close()
	}
}

// checkCluster reads the map of one node, and finds the masters in it.
func (c *clusterInspection) checkCluster(n *redisNode, ctx context.Context) Finding {
	ranges, err := n.client.ClusterSlots(ctx).Result() //nolint:staticcheck // as the client of the store asks, and may ask
	switch {
	case isNoPerm(err):
		return fail("user "+n.user()+" may not run cluster|slots, which tells where keys are", "ACL SETUSER "+n.user()+" +cluster|slots")
	case err != nil:
		return fail("where keys are is not known: CLUSTER SLOTS: "+err.Error(), "see the log of "+n.addr)
	}
	for _, r := range ranges {
		if len(r.Nodes) == 0 {
			continue
		}
		master := c.node(n.near(r.Nodes[0].Addr))
		if !slices.Contains(c.masters, master) {
			c.masters = append(c.masters, master)
			master.replicas = len(r.Nodes) - 1
		}
		master.slots = append(master.slots, slotRange{r.Start, r.End})
	}
	var info facts
	if text, err := n.client.ClusterInfo(ctx).Result(); err == nil {
		info = parseFacts(text)
	}
	coverage, _ := n.setting(ctx, "cluster-require-full-coverage")
	f := judgeCluster(n.addr, ranges, len(c.masters), info, coverage)
	if others := c.disagree(ctx, n, owners(ranges)); len(others) > 0 && f.Level == LevelOK {
		return warn(listText(others)+" and "+n.addr+" do not agree on who has which slot",
			"wait until a failover or a move of slots is over; else redis-cli --cluster fix "+n.addr)
	}
	return f
}

// disagree names the nodes of the URL that have another map.
func (c *clusterInspection) disagree(ctx context.Context, with *redisNode, owned string) (others []string) {
	for _, n := range c.nodes {
		if n == with || n.reached.Level != LevelOK {
			continue
		}
		ranges, err := n.client.ClusterSlots(ctx).Result() //nolint:staticcheck // as above
		if err == nil && owners(ranges) != owned {
			others = append(others, n.addr)
		}
	}
	return others
}

// owners says which node has which slots.
func owners(ranges []redis.ClusterSlot) string {
	var all []string
	for _, r := range ranges {
		if len(r.Nodes) > 0 {
			all = append(all, fmt.Sprintf("%05d-%05d %s", r.Start, r.End, r.Nodes[0].ID))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// near is the address of another node as this one tells it, seen from here: one that is told
// without a host, or by a loopback's, is on the same machine.
func (n *redisNode) near(told string) string {
	host, port, err := net.SplitHostPort(told)
	if err != nil {
		return told
	}
	ourHost, ourPort, _ := net.SplitHostPort(n.addr)
	if host == "" || host == "?" || isLoopback(host) {
		host = ourHost
	}
	if port == "0" {
		port = ourPort
	}
	return net.JoinHostPort(host, port)
}

// judgeCluster says whether every slot has a node. Info is nil where we may not see it.
func judgeCluster(addr string, ranges []redis.ClusterSlot, masters int, info facts, coverage string) Finding {
	var missing []string
	assigned, next := 0, 0
	slices.SortFunc(ranges, func(a, b redis.ClusterSlot) int { return a.Start - b.Start })
	for _, r := range append(ranges, redis.ClusterSlot{Start: clusterSlots, End: clusterSlots - 1}) {
		if r.Start > next {
			missing = append(missing, slotsText(next, r.Start-1))
		}
		assigned += r.End - r.Start + 1
		next = max(next, r.End+1)
	}
	note := ""
	switch coverage {
	case "yes":
		note = "; cluster-require-full-coverage yes: with one slot lost, all is refused"
	case "no":
		note = "; cluster-require-full-coverage no: with a slot lost, the others go on"
	}
	if len(missing) > 0 {
		return fail(fmt.Sprintf("%d of %d slots have a node, but not %s%s", assigned, clusterSlots, listText(missing), note),
			"redis-cli --cluster fix "+addr+", when every node is up again")
	}
	if state := info["cluster_state"]; info != nil && state != "ok" {
		lost := info.number("cluster_slots_fail") + info.number("cluster_slots_pfail")
		return fail(fmt.Sprintf("cluster_state is %s, the nodes of %d slots do not answer%s", state, lost, note), "start those that are down: redis-cli --cluster check "+addr)
	}
	state := "cluster_state ok, "
	if info == nil {
		state = ""
	}
	return fine("%sall %d slots have a node, %s%s", state, assigned, countText(masters, "master", "masters"), note)
}

func slotsText(first, last int) string {
	if first == last {
		return fmt.Sprint(first)
	}
	return strings.Join([]string{fmt.Sprint(first), fmt.Sprint(last)}, "-")
}
