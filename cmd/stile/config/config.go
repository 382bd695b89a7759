// Package config reads stile.yaml. It is strict: an option that is unknown, of the wrong
// form, or that would do nothing is an error, and all errors are found in one run, each
// with its line. Serve, check and explain share it.
package config

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stile-gate/stile/policy"
)

// Config is a stile.yaml as Load found it. Nobody changes it afterwards.
type Config struct {
	Listen Listen `yaml:"listen"`
	// Trust is the networks whose peers are believed about forwarded headers, as CIDRs or
	// single addresses. No default: listen.auth needs it.
	Trust policy.Prefixes `yaml:"trust"`
	// Waive says, by the id of a gate, why this configuration may fail it.
	Waive map[string]string `yaml:"waive"`
	// Hosts is what requests may name, in the forms of policy.ParseHosts. Default: every
	// host, on known ports.
	Hosts []string `yaml:"hosts"`
	// Store is a URL that may hold a password: memory: (default), redis://[user:password@]host[:port][/db]
	// or rediss:// for TLS. A reload cannot change it.
	Store policy.Secret `yaml:"store"`
	Cache Cache         `yaml:"cache"`
	Keys  Keys          `yaml:"keys"`
	Admin Admin         `yaml:"admin"`
	Log   Log           `yaml:"log"`

	Authenticators map[string]Authenticator `yaml:"authenticators"` // by name
	Limits         map[string]Limit         `yaml:"limits"`         // by name
	Throttle       Throttle                 `yaml:"throttle"`
	Routes         []Route                  `yaml:"routes"`
	Upstreams      map[string]Upstream      `yaml:"upstreams"` // by name
	Consumers      []Consumer               `yaml:"consumers"` // a seed; the rest lives in the store

	// Files is the paths of every ${file:…}, whether it could be read or not. Sorted.
	Files []string `yaml:"-"`

	source *source
}

// Listen is the addresses to listen on, as host:port or :port; "" is off. A reload cannot
// change them.
type Listen struct {
	Auth  string `yaml:"auth"`  // answers edges; this or Proxy is set
	Proxy string `yaml:"proxy"` // the standalone gateway
	Admin string `yaml:"admin"` // default 127.0.0.1:9180; written "off" to have none
}

// Cache bounds what was looked up in the store and is remembered.
type Cache struct {
	Entries    int           `yaml:"entries"`     // 1 to 10,000,000, default 200,000
	TTL        time.Duration `yaml:"ttl"`         // 1s to 5m, default 30s
	StaleGrace time.Duration `yaml:"stale_grace"` // how long beyond TTL while the store is down: 0s to 24h, default 5m
}

// Keys is how API keys are made and hashed.
type Keys struct {
	Prefix string `yaml:"prefix"` // 1 to 16 letters and digits, default policy.DefaultKeyPrefix
	Pepper Pepper `yaml:"pepper"` // none by default

	// OldPeppers is those that keys of before are hashed with, tried in this order, and then none.
	OldPeppers []Pepper `yaml:"old_peppers"`
}

// Pepper converts to a policy.Pepper.
type Pepper struct {
	Version int           `yaml:"version"` // from 1
	Secret  policy.Secret `yaml:"secret"`  // 16 bytes or more
}

// Admin is who may use the admin API.
type Admin struct {
	Token    string `yaml:"token"` // the bearer token's hash, sha256:<64 hex digits>
	EnvToken string `yaml:"-"`     // the hash of STILE_ADMIN_TOKEN, which holds the token itself
}

// Hashes lists the hashes of the tokens that are accepted, as policy.PlainKeyHash makes
// them. None is possible on loopback only.
func (a Admin) Hashes() []string {
	var hashes []string
	for _, hash := range []string{a.Token, a.EnvToken} {
		if hash != "" {
			hashes = append(hashes, hash)
		}
	}
	return hashes
}

// Log is what is logged.
type Log struct {
	Level     string `yaml:"level"`     // debug, info (default), warn or error
	Decisions bool   `yaml:"decisions"` // a line for each decision, default true
}

// Authenticator has exactly one field set.
type Authenticator struct {
	APIKey *APIKey `yaml:"api_key,empty"`
	JWT    *JWT    `yaml:"jwt"`
}

// APIKey says where a key stands. One of Header, Query and Cookie is set.
type APIKey struct {
	Header string `yaml:"header"` // default X-API-Key when none of the three is named
	Query  string `yaml:"query"`
	Cookie string `yaml:"cookie"`
	Hide   bool   `yaml:"hide"`   // the key must not reach an upstream, default true
	Opaque bool   `yaml:"opaque"` // keys that were imported from another system are accepted, too
}

// Carrier is the same in the terms of a decision.
func (k *APIKey) Carrier() policy.Carrier {
	return policy.Carrier{
		Header: http.CanonicalHeaderKey(k.Header), Query: k.Query, Cookie: k.Cookie, Hide: k.Hide,
	}
}

// JWT is whose tokens are accepted. Keys come from JWKSURL, from JWKSFile, or else by the
// issuer's discovery document.
type JWT struct {
	Issuer     string   `yaml:"issuer"`          // a URL, compared byte for byte with iss
	Audience   []string `yaml:"audience,single"` // one of these must be in aud; a string or a list
	JWKSURL    string   `yaml:"jwks_url"`
	JWKSFile   string   `yaml:"jwks_file"`  // written absolute, or from the configuration's folder
	Algorithms []string `yaml:"algorithms"` // of JWS, asymmetric; nil for the authenticator's default
	Type       string   `yaml:"type"`       // typ that a token must have, such as at+jwt; "" for any
	Cookie     string   `yaml:"cookie"`     // cookie that carries the token besides Authorization
	Claims     Claims   `yaml:"claims"`

	JWKSTTL        time.Duration `yaml:"jwks_ttl"`         // how long keys count as fresh: 1s to 24h, default 5m, or JWKSMinRefresh where that is longer
	JWKSMinRefresh time.Duration `yaml:"jwks_min_refresh"` // at least so long between two fetches: 1s to 1h, default 10s
	JWKSStale      time.Duration `yaml:"jwks_stale"`       // how long beyond the TTL while the issuer is down: 0s to 24h, default 1h
}

// Claims names the claims that hold what we look for; "" for the authenticator's default.
type Claims struct {
	Consumer string `yaml:"consumer"`
	Groups   string `yaml:"groups"`
	Scopes   string `yaml:"scopes"`
}

// Route is a policy.Route with names in place of authenticators. Its pattern is compiled
// by policy.NewEngine, and only there.
type Route struct {
	Name         string         `yaml:"name"`         // unique; also a metric's label
	Match        string         `yaml:"match"`        // [METHOD ][HOST]/[PATH]
	Authenticate []string       `yaml:"authenticate"` // names of authenticators, tried in this order
	Public       string         `yaml:"public"`       // why there is no Authenticate
	Require      Require        `yaml:"require"`
	Encoded      policy.Encoded `yaml:"encoded"`  // a list of names
	Limit        []string       `yaml:"limit"`    // names of limits
	Cost         int            `yaml:"cost"`     // what a request takes of each limit; 0 for 1
	Upstream     string         `yaml:"upstream"` // set on every route where Listen.Proxy is
}

// Require is what a route demands of an identity; it converts to a policy.Require.
type Require struct {
	Groups []string `yaml:"groups"` // one of these
	Scopes []string `yaml:"scopes"` // all of these
}

// Upstream is a service that the gateway passes requests to.
type Upstream struct {
	Targets []Target `yaml:"targets"` // exactly one
}

// Target is one address of an upstream.
type Target struct {
	URL *url.URL `yaml:"url"` // http or https, a host, perhaps a port, and nothing else
}

// Consumer is somebody in our books from the start.
type Consumer struct {
	ID       string   `yaml:"id"` // as policy.CheckID says; unique
	Username string   `yaml:"username"`
	CustomID string   `yaml:"custom_id"` // unique
	Groups   []string `yaml:"groups"`
	Keys     []Key    `yaml:"keys"`
}

// Key is an API key of a consumer. The key itself stands nowhere.
type Key struct {
	ID        string    `yaml:"id"`   // as policy.CheckID says; unique among all keys
	Hash      string    `yaml:"hash"` // as policy.CheckKeyHash says; unique
	Scopes    []string  `yaml:"scopes"`
	ExpiresAt time.Time `yaml:"expires_at"` // RFC 3339; zero for never
	Name      string    `yaml:"name"`       // for people
}

// StoreScheme is the kind of store, which is no secret: memory, file, redis, rediss, …
func (c *Config) StoreScheme() string {
	scheme, _, _ := strings.Cut(c.Store.Reveal(), ":")
	return scheme
}

// The decoder calls setDefaults before it reads a mapping into a struct.

func (c *Config) setDefaults() {
	c.Listen.Admin = "127.0.0.1:9180"
	c.Store = policy.NewSecret("memory:")
	c.Cache = Cache{Entries: 200_000, TTL: 30 * time.Second, StaleGrace: 5 * time.Minute}
	c.Keys.Prefix = policy.DefaultKeyPrefix
	c.Log = Log{Level: "info", Decisions: true}
	c.Throttle.setDefaults()
}

func (k *APIKey) setDefaults() { k.Hide = true }

func (j *JWT) setDefaults() {
	j.JWKSTTL, j.JWKSMinRefresh, j.JWKSStale = 5*time.Minute, 10*time.Second, time.Hour
}
