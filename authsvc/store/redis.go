package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis is a store in Redis 7.0 or later: in one server, in one that sentinels watch, or in
// a cluster. The layout is in layout.go.
type Redis struct {
	// Observe, when it is set, hears of every operation that asked the server. Its err
	// is nil when the server answered, whatever the answer. Set it before the first use.
	Observe func(op string, took time.Duration, err error)
	// Now is the clock; set it before the first use.
	Now func() time.Time

	url        redisURL
	client     redis.UniversalClient
	probes     *probes
	meterClock meterClock
}

// retries is how often a command is sent again that got no answer.
const retries = 1

// OpenRedis makes a store that connects when it is first used. The URL is one of
//
//	redis://[user:password@]host[:port][/database]
//	redis+sentinel://[user:password@]host[:port][,host[:port]]…/master[/database]
//	redis+cluster://[user:password@]host[:port][,host[:port]]…
//
// with rediss instead of redis for TLS. Options follow as a query: pool_size, dial_timeout,
// read_timeout, write_timeout and pool_timeout; sentinel_user and sentinel_password; for TLS ca_file,
// cert_file, key_file and server_name. The error names the part that is wrong and holds
// nothing that could be of a password.
func OpenRedis(rawURL string) (*Redis, error) {
	u, err := parseRedisURL(rawURL)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	p := newProbes()
	return &Redis{Now: time.Now, url: u, client: guarded(u.connect(u.poolSize, retries), p), probes: p}, nil
}

// Ping asks whether the server answers; in a cluster, each master.
func (r *Redis) Ping(ctx context.Context) (err error) {
	defer r.observe("ping", time.Now(), &err)
	if err := pingAll(ctx, r.client); err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	return nil
}

// Close closes the connections. Operations fail from then on.
func (r *Redis) Close() error {
	err := r.client.Close()
	r.probes.stop()
	return err
}

func (r *Redis) observe(op string, start time.Time, err *error) {
	if r.Observe == nil {
		return
	}
	failure := *err
	for _, answer := range []error{ErrNotFound, ErrExists, ErrConflict} {
		if errors.Is(failure, answer) {
			failure = nil
		}
	}
	r.Observe(op, time.Since(start), failure)
}

// whole gives a write of several steps the time to end, even when whoever asked for it
// goes away in the middle.
func whole(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx.Err() != nil {
		return ctx, func() {} // not begun, so it need not be
	}
	return context.WithTimeout(context.WithoutCancel(ctx), writeTime)
}

// run is for scripts whose answer says nothing.
func (r *Redis) run(ctx context.Context, s *redis.Script, key string, args ...any) error {
	return s.Run(ctx, r.client, []string{key}, args...).Err()
}

// claim makes a name lead to a ref. If it leads to another one that is dead, a writer left
// that behind that was cut short. One that is alive keeps the name and is answered.
func (r *Redis) claim(ctx context.Context, name string, to ref, alive func(context.Context, ref) (bool, error)) (holder *ref, err error) {
	replaceable := ""
	for {
		held, err := claimScript.Run(ctx, r.client, []string{name}, to.String(), replaceable).Text()
		if errors.Is(err, redis.Nil) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		other, err := parseRef(held)
		if err != nil {
			return nil, err
		}
		if ok, err := alive(ctx, other); err != nil {
			return nil, err
		} else if ok {
			return &other, nil
		}
		replaceable = held
	}
}
