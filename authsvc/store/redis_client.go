package store

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// What all shapes have in common. go-redis's own defaults wait for seconds.
const (
	minRetryPause = 8 * time.Millisecond
	maxRetryPause = 32 * time.Millisecond
	idleTime      = 5 * time.Minute
	// ownPipelines: only admin calls and the meter's leases use pipelines, and share the pool.
	ownPipelines = -1
	// protocol 2: nothing here needs push messages, so none can get between replies.
	protocol = 2
	// routesFor is how old the map of a cluster's slots may grow. A node that is gone does not
	// say where its slots went.
	routesFor = time.Second
)

// connect makes a client that connects when it is first used. It tries a command that got no
// answer so many times more, unless that is of a kind that must not be repeated.
func (u redisURL) connect(poolSize, retries int) redis.UniversalClient {
	if retries == 0 {
		retries = -1 // none, to go-redis
	}
	switch u.shape {
	case cluster:
		c := redis.NewClusterClient(u.clusterOptions(poolSize, retries))
		c.AddHook(again{})
		return c
	case sentinel:
		return redis.NewFailoverClient(u.failoverOptions(poolSize, retries))
	default:
		return redis.NewClient(u.options(poolSize, retries))
	}
}

// options are of one server. DialerRetries: a refused connection would else be tried again for
// half a second. DisableIdentity: CVE-2025-29923, replies out of order after CLIENT SETINFO
// timed out. The other shapes have the same for the same reasons.
func (u redisURL) options(poolSize, retries int) *redis.Options {
	return &redis.Options{
		Addr: u.hosts[0], DB: u.database, Username: u.user, Password: u.password, Dialer: u.dialer(),
		DialTimeout: u.dialTimeout, ReadTimeout: u.readTimeout, WriteTimeout: u.writeTimeout, PoolTimeout: u.poolTimeout,
		MaxRetries: retries, MinRetryBackoff: minRetryPause, MaxRetryBackoff: maxRetryPause, DialerRetries: 1,
		PoolSize: poolSize, MaxActiveConns: poolSize, PipelinePoolSize: ownPipelines, ConnMaxIdleTime: idleTime,
		Protocol: protocol, DisableIdentity: true, ContextTimeoutEnabled: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

func (u redisURL) failoverOptions(poolSize, retries int) *redis.FailoverOptions {
	return &redis.FailoverOptions{
		MasterName: u.master, SentinelAddrs: u.hosts, SentinelUsername: u.sentinelUser, SentinelPassword: u.sentinelPassword,
		DB: u.database, Username: u.user, Password: u.password, Dialer: u.dialer(),
		DialTimeout: u.dialTimeout, ReadTimeout: u.readTimeout, WriteTimeout: u.writeTimeout, PoolTimeout: u.poolTimeout,
		MaxRetries: retries, MinRetryBackoff: minRetryPause, MaxRetryBackoff: maxRetryPause, DialerRetries: 1,
		PoolSize: poolSize, MaxActiveConns: poolSize, PipelinePoolSize: ownPipelines, ConnMaxIdleTime: idleTime,
		Protocol: protocol, DisableIdentity: true, ContextTimeoutEnabled: true,
	}
}

func (u redisURL) clusterOptions(poolSize, retries int) *redis.ClusterOptions {
	return &redis.ClusterOptions{
		Addrs: u.hosts, Username: u.user, Password: u.password, Dialer: u.dialer(),
		DialTimeout: u.dialTimeout, ReadTimeout: u.readTimeout, WriteTimeout: u.writeTimeout, PoolTimeout: u.poolTimeout,
		MaxRetries: retries, MinRetryBackoff: minRetryPause, MaxRetryBackoff: maxRetryPause, DialerRetries: 1,
		PoolSize: poolSize, MaxActiveConns: poolSize, PipelinePoolSize: ownPipelines, ConnMaxIdleTime: idleTime,
		Protocol: protocol, DisableIdentity: true, ContextTimeoutEnabled: true,
		MaxRedirects: 3, ClusterStateReloadInterval: routesFor,
		// Its table of commands would be asked for by COMMAND, which needs a right more. All of
		// ours go by their first key.
		DisableRoutingPolicies:   true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// guarded puts a guard before every server that a client talks to.
func guarded(c redis.UniversalClient, p *probes) redis.UniversalClient {
	switch c := c.(type) {
	case *redis.Client:
		newGuard(c, p)
	case *redis.ClusterClient:
		c.OnNewNode(func(node *redis.Client) { newGuard(node, p) })
	}
	return c
}

// pingAll asks every server that can be written to.
func pingAll(ctx context.Context, c redis.UniversalClient) error {
	nodes, isCluster := c.(*redis.ClusterClient)
	if !isCluster {
		return c.Ping(ctx).Err()
	}
	return nodes.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		err := node.Ping(ctx).Err()
		if errors.Is(err, context.Canceled) {
			return nil // another one failed first
		}
		return err
	})
}

// dialer is nil, which is go-redis's own, without TLS.
func (u redisURL) dialer() func(context.Context, string, string) (net.Conn, error) {
	if u.tls == nil {
		return nil
	}
	return u.dialTLS
}
