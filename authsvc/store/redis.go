package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Redis is a store in one Redis server, 7.0 or later. The layout is in layout.go.
type Redis struct {
	// Observe, when it is set, hears of every operation that asked the server. Its err
	// is nil when the server answered, whatever the answer. Set it before the first use.
	Observe func(op string, took time.Duration, err error)
	// Now is the clock; set it before the first use.
	Now func() time.Time

	client     *redis.Client
	meterClock meterClock
}

// OpenRedis reads redis://[user:password@]host[:port][/database], or rediss:// for TLS,
// and makes a store that connects when it is first used. go-redis's options can follow as
// a query. The error names what is wrong with the URL and holds nothing of it that could
// be part of a password.
func OpenRedis(rawURL string) (*Redis, error) {
	o, err := redisOptions(rawURL)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return &Redis{Now: time.Now, client: redis.NewClient(o)}, nil
}

func redisOptions(rawURL string) (*redis.Options, error) {
	scheme, _, ok := strings.Cut(rawURL, "://")
	if !ok || (scheme != "redis" && scheme != "rediss") {
		return nil, errors.New("a Redis URL begins with redis:// or rediss://")
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		// url.Error quotes the URL, and its cause may quote a password that holds a slash.
		return nil, errors.New("the URL cannot be read: the form is redis://user:password@host:port/database, " +
			"and a password writes its / ? # @ : % as %2F %3F %23 %40 %3A %25")
	}
	if err := checkRedisURL(u); err != nil {
		return nil, err
	}
	o, err := redis.ParseURL(rawURL)
	if err != nil {
		return nil, fmt.Errorf("the URL's query: %w", err)
	}
	sidecarDefaults(o)
	return o, nil
}

// checkRedisURL finds mistakes before go-redis does, which would quote them.
func checkRedisURL(u *url.URL) error {
	if u.Hostname() == "" {
		return errors.New("the URL names no host")
	}
	if u.Fragment != "" || strings.Contains(u.RawQuery, "@") {
		return errors.New("the URL ends before its last @: write a # of the password as %23, a ? as %3F")
	}
	if database := strings.Trim(u.Path, "/"); strings.Trim(database, "0123456789") != "" || len(database) > 5 {
		return errors.New("the URL's path is not the number of a database: write a / of the password as %2F")
	}
	return nil
}

// sidecarDefaults fills in what the URL left open. go-redis's own defaults wait for
// seconds; a request that waits for us has none to spare.
func sidecarDefaults(o *redis.Options) {
	orDefault := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	orDefault(&o.DialTimeout, time.Second)
	orDefault(&o.ReadTimeout, 250*time.Millisecond)
	orDefault(&o.WriteTimeout, 250*time.Millisecond)
	orDefault(&o.PoolTimeout, 250*time.Millisecond)
	orDefault(&o.MinRetryBackoff, 8*time.Millisecond)
	orDefault(&o.MaxRetryBackoff, 32*time.Millisecond)
	orDefault(&o.ConnMaxIdleTime, 5*time.Minute)
	if o.MaxRetries == 0 {
		o.MaxRetries = 1
	}
	o.DialerRetries = 1 // else a refused connection is tried again for half a second
	if o.PoolSize == 0 {
		o.PoolSize = 32 // look-ups of one key are merged, so this is 32 different keys at a time
	}
	if o.MaxActiveConns == 0 {
		o.MaxActiveConns = o.PoolSize
	}
	if o.PipelinePoolSize == 0 {
		o.PipelinePoolSize = -1 // only admin calls use pipelines: they share the pool
	}
	if o.Protocol == 0 {
		o.Protocol = 2 // nothing here needs push messages, so none can get between replies
	}
	o.DisableIdentity = true // CVE-2025-29923: replies out of order after CLIENT SETINFO timed out
	o.ContextTimeoutEnabled = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// Ping asks whether the server answers.
func (r *Redis) Ping(ctx context.Context) (err error) {
	defer r.observe("ping", time.Now(), &err)
	if err := r.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	return nil
}

// Close closes the connections. Operations fail from then on.
func (r *Redis) Close() error { return r.client.Close() }

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
