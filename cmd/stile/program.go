package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stile-gate/stile/authsvc"
	"github.com/stile-gate/stile/authsvc/authn"
	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/cmd/stile/config"
	"github.com/stile-gate/stile/policy"
	"github.com/stile-gate/stile/proxy"
)

// program is one configuration, compiled: what a reload replaces as a whole.
type program struct {
	config   *config.Config
	engine   *policy.Engine
	dry      *policy.Engine // the same, for explain: it counts nothing
	limits   map[string]*policy.Limit
	attempts *policy.Attempts // nil for none
	declared *store.Static
	cache    *store.Cache
	tokens   map[string]*authn.JWT // by the authenticator's name
	revoked  *store.Revocations    // tokens; outlives a reload
	auth     http.Handler
	proxy    http.Handler
	admin    http.Handler
}

// parts outlive a reload.
type parts struct {
	store     books
	meter     *store.Meter // of store
	used      *store.LastUsed
	rehash    *store.Rehasher
	replica   *replica // nil where no other process shares the store
	metrics   *metrics
	log       *slog.Logger
	level     *slog.LevelVar // of log and decisions
	decisions *decisionLog
	transport http.RoundTripper
}

// books is a store as the wiring needs it.
type books interface {
	authsvc.ConsumerBooks
	authsvc.KeyBooks
	authsvc.TokenBooks
	authsvc.AuditBooks
	store.Loader
	store.Source
	store.RevocationSource
	store.UseBooks
	store.RehashBooks
	counter
	Ping(context.Context) error
	Close() error
}

// storeObserver hears of every operation of a store.
type storeObserver = func(op string, took time.Duration, err error)

// openStore opens what a URL names. A server need not answer yet.
func openStore(url string, observe storeObserver) (books, error) {
	if err := store.CheckURL(url); err != nil {
		return nil, err
	}
	if path, ok := store.FileOf(url); ok {
		f, err := store.OpenFile(path)
		if err != nil {
			return nil, err
		}
		f.Observe = observe
		return f, nil
	}
	if url == "memory:" {
		return store.NewMemory(), nil
	}
	redis.SetLogger(quietRedis{}) // what fails comes back as an error, and is logged there
	r, err := store.OpenRedis(url)
	if err != nil {
		return nil, err
	}
	r.Observe = observe
	return r, nil
}

// quietRedis keeps go-redis from writing to standard error by itself.
type quietRedis struct{}

func (quietRedis) Printf(context.Context, string, ...any) {}

// loadConfig reads a configuration. Where it has errors, its patterns are tried all the
// same, so that one run tells every problem.
func loadConfig(path string) (*config.Config, config.Problems) {
	c, problems := config.Load(path, os.Environ())
	if c == nil || problems.Err() == nil {
		return c, problems
	}
	routes := make([]policy.Route, len(c.Routes))
	for i, r := range c.Routes {
		routes[i] = policy.Route{Name: r.Name, Match: r.Match, Public: "only its pattern is tried", Encoded: ^policy.Encoded(0)}
	}
	_, faults := policy.NewEngine(policy.Options{Routes: routes})
	for _, fault := range faults {
		problems = append(problems, c.RouteProblem(fault))
	}
	problems.Sort()
	return c, problems
}

// compile makes a program of a configuration. What the old one (nil at first) has learnt
// is kept where its options are the same: proved tokens, keys of issuers, cached keys.
func compile(c *config.Config, p parts, old *program) (*program, config.Problems) {
	prog := &program{config: c, tokens: map[string]*authn.JWT{}, revoked: revocationsOf(p, old)}
	if err := prog.remember(p, old); err != nil {
		return nil, config.Problems{c.Problem(c.At("consumers"), "%v", err)}
	}
	byName, problems := prog.authenticators(old)
	hosts, err := policy.ParseHosts(c.Hosts, ownPorts(c)...)
	if err != nil {
		problems = append(problems, c.Problem(c.At("hosts"), "%v", err))
	}
	prog.limits, prog.attempts = limitsOf(c, old), attemptsOf(c, old)
	options := policy.Options{
		Routes: routesOf(c, byName, prog.limits), Directory: prog.cache, Hosts: hosts, Carriers: carriersOf(c),
		Limits: sorted(prog.limits), Meter: p.meter,
	}
	if prog.attempts != nil { // else the interface would not be nil
		options.Throttle = prog.attempts
	}
	engine, faults := policy.NewEngine(options)
	for _, fault := range faults {
		problems = append(problems, c.RouteProblem(fault))
	}
	if problems.Err() != nil {
		problems.Sort()
		return nil, problems
	}
	prog.engine, prog.dry = engine, engine.Dry(peek{p.meter})
	prog.face(p)
	return prog, problems
}

// remember makes the cache, or keeps the old one and what it holds.
func (prog *program) remember(p parts, old *program) (err error) {
	c := prog.config
	if old != nil && reflect.DeepEqual(old.config.Cache, c.Cache) && reflect.DeepEqual(old.config.Keys, c.Keys) &&
		reflect.DeepEqual(old.config.Consumers, c.Consumers) {
		prog.declared, prog.cache = old.declared, old.cache
		return nil
	}
	if prog.declared, err = declaredBooks(c); err != nil {
		return err
	}
	prog.cache = store.NewCache(store.CacheOptions{
		Source: p.store, Static: prog.declared, Pepper: policy.Pepper(c.Keys.Pepper), Old: oldPeppers(c), Rehash: p.rehash,
		Entries: c.Cache.Entries, TTL: c.Cache.TTL, StaleGrace: written(c.Cache.StaleGrace), Count: p.metrics.countCache,
	})
	return nil
}

func oldPeppers(c *config.Config) []policy.Pepper {
	old := make([]policy.Pepper, len(c.Keys.OldPeppers))
	for i, p := range c.Keys.OldPeppers {
		old[i] = policy.Pepper(p)
	}
	return old
}

func limitNames(c *config.Config) []string {
	names := slices.AppendSeq(make([]string, 0, len(c.Limits)), maps.Keys(c.Limits))
	slices.Sort(names)
	return names
}

func routeNames(c *config.Config) []string {
	names := make([]string, len(c.Routes))
	for i, r := range c.Routes {
		names[i] = r.Name
	}
	return names
}

// declaredBooks are the consumers and keys that the file itself declares.
func declaredBooks(c *config.Config) (*store.Static, error) {
	var consumers []policy.Consumer
	var keys []store.Key
	for _, seed := range c.Consumers {
		consumers = append(consumers, policy.Consumer{
			ID: seed.ID, Username: seed.Username, CustomID: seed.CustomID, Groups: seed.Groups,
		})
		for _, k := range seed.Keys {
			keys = append(keys, store.Key{
				ID: k.ID, Consumer: seed.ID, Hash: k.Hash, Name: k.Name, Scopes: k.Scopes, ExpiresAt: k.ExpiresAt,
			})
		}
	}
	return store.NewStatic(consumers, keys)
}

// authenticators makes each that the configuration names.
func (prog *program) authenticators(old *program) (map[string]policy.NamedAuthenticator, config.Problems) {
	c := prog.config
	var problems config.Problems
	byName := map[string]policy.NamedAuthenticator{}
	for _, name := range slices.Sorted(maps.Keys(c.Authenticators)) {
		a := c.Authenticators[name]
		named := policy.NamedAuthenticator{Name: name, Scheme: policy.Bearer}
		var err error
		if a.JWT != nil {
			prog.tokens[name], err = tokens(name, a.JWT, prog.revoked, old)
			named.Authenticator = prog.tokens[name]
		} else {
			named.Scheme = policy.APIKey
			named.Authenticator, err = authn.NewAPIKey(authn.APIKeyOptions{
				Header: a.APIKey.Header, Query: a.APIKey.Query, Cookie: a.APIKey.Cookie,
				Format: policy.KeyFormat{Prefix: c.Keys.Prefix}, Opaque: a.APIKey.Opaque, Keys: prog.cache,
			})
		}
		if err != nil {
			problems = append(problems, c.Problem(c.At("authenticators", name), "authenticator %q: %v", name, err))
		}
		byName[name] = named
	}
	return byName, problems
}

// tokens keeps an authenticator whose options are as they were, with the keys and proved
// tokens that it holds.
func tokens(name string, j *config.JWT, revoked authn.Revocations, old *program) (*authn.JWT, error) {
	if old != nil {
		if before := old.config.Authenticators[name].JWT; before != nil && reflect.DeepEqual(before, j) {
			return old.tokens[name], nil
		}
	}
	return authn.NewJWT(authn.JWTOptions{
		Name: name, Issuer: j.Issuer, Audiences: j.Audience, JWKSURL: j.JWKSURL, JWKSFile: j.JWKSFile,
		Algorithms: j.Algorithms, Type: j.Type, Cookie: j.Cookie,
		Claims:     authn.ClaimPaths{Consumer: j.Claims.Consumer, Groups: j.Claims.Groups, Scopes: j.Claims.Scopes},
		TTL:        j.JWKSTTL,
		MinRefresh: j.JWKSMinRefresh,
		MaxStale:   written(j.JWKSStale),

		Revocations: revoked,
	})
}

// written turns a duration of the configuration into one of options whose zero stands for
// a default and whose negative stands for none.
func written(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

func routesOf(c *config.Config, byName map[string]policy.NamedAuthenticator, limits map[string]*policy.Limit) []policy.Route {
	routes := make([]policy.Route, len(c.Routes))
	for i, r := range c.Routes {
		routes[i] = policy.Route{
			Name: r.Name, Match: r.Match, Public: r.Public, Encoded: r.Encoded, Upstream: r.Upstream,
			Require: policy.Require(r.Require), Cost: int64(r.Cost),
		}
		for _, name := range r.Authenticate {
			routes[i].Authenticate = append(routes[i].Authenticate, byName[name])
		}
		for _, name := range r.Limit {
			routes[i].Limits = append(routes[i].Limits, limits[name])
		}
	}
	return routes
}

func carriersOf(c *config.Config) []policy.Carrier {
	var carriers []policy.Carrier
	for _, name := range slices.Sorted(maps.Keys(c.Authenticators)) {
		if k := c.Authenticators[name].APIKey; k != nil {
			carriers = append(carriers, k.Carrier())
		}
	}
	return carriers
}

// ownPorts are those under which clients reach us directly.
func ownPorts(c *config.Config) []uint16 {
	_, text, err := net.SplitHostPort(c.Listen.Proxy)
	port, parseErr := strconv.ParseUint(text, 10, 16)
	if errors.Join(err, parseErr) != nil {
		return nil
	}
	return []uint16{uint16(port)}
}

// face puts the skins around the engine.
func (prog *program) face(p parts) {
	c := prog.config
	decider := &observer{next: prog.engine, metrics: p.metrics, used: p.used, keys: policy.KeyFormat{Prefix: c.Keys.Prefix}}
	if c.Log.Decisions {
		decider.log = p.decisions
	}
	prog.auth = authsvc.NewAuthHandler(decider, c.Trust)
	upstreams := map[string]*url.URL{}
	for name, u := range c.Upstreams {
		upstreams[name] = u.Targets[0].URL
	}
	prog.proxy = &proxy.Gateway{
		Decider: decider, Trust: c.Trust, Upstreams: upstreams, Hidden: prog.engine.Hidden(),
		Transport: p.transport, Log: p.log, Observe: p.metrics.observeUpstream,
	}
	books, wait := p.changes()
	prog.admin = (&authsvc.Admin{
		Consumers: books, Keys: books, Records: p.loads(), Wait: wait, Declared: prog.declared, Local: prog.cache, Decider: prog.dry,
		Format: policy.KeyFormat{Prefix: c.Keys.Prefix}, Pepper: policy.Pepper(c.Keys.Pepper), Old: oldPeppers(c),
		Routes: routeNames(c), Limits: limitNames(c),
		Tokens: tokenHashes(c), Now: time.Now, Log: p.log,
		Revocations: books, Issuers: issuersOf(c), Announce: prog.announceToken, Audit: p.store,
	}).Handler()
}

func tokenHashes(c *config.Config) []authsvc.TokenHash {
	var hashes []authsvc.TokenHash
	for _, text := range c.Admin.Hashes() {
		if h, ok := authsvc.ParseTokenHash(text); ok {
			hashes = append(hashes, h)
		}
	}
	return hashes
}
