package store

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisNode is one server of a store in Redis, or a Sentinel, under inspection. It is asked on
// a connection of its own, without the guard and the repetitions that hide what is wrong.
type redisNode struct {
	addr     string
	label    string // addr, where there are several
	url      redisURL
	now      func() time.Time
	client   *redis.Client
	sentinel bool

	reached Finding
	// What HELLO tells, which every user may run; empty where it does not.
	product, version, mode, role string

	info     facts // nil until it was asked
	infoErr  error
	replicas int           // that a cluster's map tells of; -1 for not known
	slots    []slotRange   // of a cluster's master
	offset   time.Duration // of its clock from ours
	offsetBy time.Duration // how wrong that may be; 0 while it is not known
}

func newRedisNode(u redisURL, addr, label string, now func() time.Time) *redisNode {
	return &redisNode{addr: addr, label: label, url: u, now: now, client: u.plainClient(addr), replicas: -1}
}

// plainClient connects once and tries nothing again. Who is slow is told from who does not
// answer, so there is more time than a request has.
func (u redisURL) plainClient(addr string) *redis.Client {
	o := u.options(1, -1)
	o.Addr = addr
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = inspectReply, inspectReply, inspectReply, lookTime
	return redis.NewClient(o)
}

func (n *redisNode) close() { _ = n.client.Close() }

// inspectRedis looks at every server of a store.
func inspectRedis(ctx context.Context, rawURL string, now func() time.Time) (Inspection, error) {
	u, err := parseRedisURL(rawURL)
	if err != nil {
		return Inspection{}, fmt.Errorf("store: %w", err)
	}
	var all []Finding
	switch u.shape {
	case cluster:
		all = inspectCluster(ctx, u, now)
	case sentinel:
		all = inspectSentinels(ctx, u, now)
	default:
		n := newRedisNode(u, u.hosts[0], "", now)
		defer n.close()
		all = n.inspect(ctx)
	}
	if usable(all) {
		all = append(all, inspectStiles(ctx, rawURL, now))
	}
	return Inspection{u.shown(), all}, nil
}

// usable tells whether any server was reached that keeps keys.
func usable(all []Finding) bool {
	return slices.ContainsFunc(all, func(f Finding) bool { return f.Name == "write" })
}

// shown is a URL without what is secret in it.
func (u redisURL) shown() string {
	scheme, path := "redis", ""
	if u.tls != nil {
		scheme = "rediss"
	}
	if u.shape != standalone {
		scheme += "+" + string(u.shape)
	}
	if u.master != "" {
		path = "/" + u.master
	}
	if u.database != 0 {
		path += fmt.Sprintf("/%d", u.database)
	}
	return scheme + "://" + strings.Join(u.hosts, ",") + path
}

// redisChecks are what is looked at of each server that keeps keys, if it is reached.
func redisChecks() []check[*redisNode] {
	return []check[*redisNode]{
		{"version", (*redisNode).checkVersion},
		{"eviction", (*redisNode).checkEviction},
		{"memory", (*redisNode).checkMemory},
		{"persistence", (*redisNode).checkPersistence},
		{"replication", (*redisNode).checkReplication},
		{"write", (*redisNode).checkWrite},
		{"acl", (*redisNode).checkRights},
		{"access", (*redisNode).checkAccess},
		{"clock", (*redisNode).checkClock},
		{"latency", (*redisNode).checkLatency},
	}
}

// inspect does all checks of a server.
func (n *redisNode) inspect(ctx context.Context) []Finding {
	if n.reach(ctx); n.reached.Level == LevelFail {
		return []Finding{n.reached}
	}
	return append([]Finding{n.reached}, inspectAll(ctx, n, n.label, redisChecks())...)
}

// reach connects once.
func (n *redisNode) reach(ctx context.Context) {
	if n.reached.Level == "" {
		n.reached = check[*redisNode]{"reach", (*redisNode).checkReach}.of(ctx, n, n.label)
	}
}

// atOnce does something with all of several at the same time.
func atOnce[T any](all []T, do func(T)) {
	var running sync.WaitGroup
	for _, one := range all {
		running.Go(func() { do(one) })
	}
	running.Wait()
}

// inspectNodes does all checks of several servers, and compares them.
func inspectNodes(ctx context.Context, nodes []*redisNode) (all []Finding) {
	found := make(map[*redisNode][]Finding, len(nodes))
	var mu sync.Mutex
	atOnce(nodes, func(n *redisNode) {
		of := n.inspect(ctx)
		mu.Lock()
		defer mu.Unlock()
		found[n] = of
	})
	for _, n := range nodes {
		all = append(all, found[n]...)
	}
	return all
}

// checkReach tells whether a server answers, and whether it is one of the kind that the URL
// says.
func (n *redisNode) checkReach(ctx context.Context) Finding {
	if err := ping(ctx, n.client); err != nil {
		return n.unreachable(ctx, err)
	}
	n.hello(ctx)
	host, port, _ := net.SplitHostPort(n.addr)
	switch {
	case n.sentinel && n.mode != "sentinel" && n.mode != "":
		return fail("it is a Redis server, not a Sentinel", "in store, name the Sentinels (port 26379), or write redis://"+n.addr)
	case !n.sentinel && n.mode == "sentinel":
		return fail("it is a Sentinel, which keeps no keys", "in store: redis+sentinel://"+n.addr+"/NAME, as `redis-cli -h "+host+" -p "+port+" sentinel masters` names the master")
	case !n.sentinel && n.mode == "cluster" && n.url.shape != cluster:
		return fail("it is a node of a cluster, and refuses the keys of other nodes", "in store: "+strings.Replace(n.url.shown(), "://", "+cluster://", 1))
	case n.mode == "standalone" && n.url.shape == cluster:
		return fail("it is no node of a cluster: its cluster support is off", "in store: "+strings.Replace(n.url.shown(), "+cluster://", "://", 1)+"; or redis.conf: cluster-enabled yes")
	}
	return fine("answers, as user %s", n.user())
}

// ping is answered also by a server that cannot save to its disk: that is for other checks.
func ping(ctx context.Context, c *redis.Client) error {
	err := c.Ping(ctx).Err()
	if err != nil && strings.HasPrefix(err.Error(), "MISCONF") {
		return nil
	}
	return err
}

// user is whom we are to the server.
func (n *redisNode) user() string {
	name := n.url.user
	if n.sentinel {
		name = n.url.sentinelUser
	}
	if name == "" {
		return "default"
	}
	return name
}

// hello reads what a server says of itself. One that does not know HELLO says nothing.
func (n *redisNode) hello(ctx context.Context) {
	told := redis.NewMapStringInterfaceCmd(ctx, "hello", protocol)
	if n.client.Process(ctx, told) != nil {
		return
	}
	text := func(name string) string { s, _ := told.Val()[name].(string); return s }
	n.product, n.version, n.mode, n.role = text("server"), text("version"), text("mode"), text("role")
}
