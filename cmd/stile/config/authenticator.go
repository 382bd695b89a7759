package config

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stile-gate/stile/policy"
)

// defaultKeyHeader carries a key when nothing else is said.
const defaultKeyHeader = "X-API-Key"

// algorithms of JWS whose keys need not be secret here.
func algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

func (c *Config) checkAuthenticators(r *report) {
	for name, a := range c.Authenticators {
		path := at("authenticators", name)
		r.checkName(path, name)
		switch {
		case a.APIKey != nil && a.JWT != nil:
			r.errorf(path, "api_key: and jwt: exclude each other; make two authenticators")
		case a.APIKey != nil:
			c.checkAPIKey(r, path, a.APIKey)
		case a.JWT != nil:
			checkJWT(r, below(path, step{name: "jwt"}), a.JWT)
		case !r.touched(path):
			r.errorf(path, "needs api_key: or jwt:")
		}
	}
}

// checkAPIKey also fills in the header where no place is named.
func (c *Config) checkAPIKey(r *report, owner []step, k *APIKey) {
	path := below(owner, step{name: "api_key"})
	option := func(name string) []step { return below(path, step{name: name}) }
	var places []string
	for _, name := range []string{"header", "query", "cookie"} {
		if r.has(option(name)) {
			places = append(places, name)
		}
	}
	switch {
	case len(places) > 1:
		r.errorf(option(places[1]), "api_key: %s: exclude each other; make an authenticator for each", strings.Join(places, ": and "))
		return
	case len(places) == 0 && !r.unsure(path):
		k.Header = defaultKeyHeader
	}
	if err := policy.CheckCredentialHeader(k.Header); k.Header != "" && err != nil {
		r.errorf(option("header"), "%s", r.reason(option("header"), "api_key.header", err))
	}
	for name, value := range map[string]string{"query": k.Query, "cookie": k.Cookie} {
		if value != "" {
			r.checkParameter(option(name), value)
		}
		if value != "" && k.Hide && c.Listen.Auth != "" && !r.unsure(option("hide")) {
			r.errorf(option(name), "api_key.%s: a proxy that asks listen.auth cannot take a %s out of a request, "+
				"so the key would reach upstreams; use header:, or accept it with hide: false",
				name, map[string]string{"query": "query parameter", "cookie": "single cookie"}[name])
		}
	}
}

// checkParameter checks the name of a query parameter or a cookie: one that needs no
// escapes, so that every program finds it alike.
func (r *report) checkParameter(path []step, name string) {
	if len(name) > 64 || strings.Trim(name, letters+digits+"_.-") != "" {
		_, rest := r.owner(path)
		r.errorf(path, "%s: %s must be 1 to 64 letters, digits and _ . -", optionName(rest), r.quote(path))
	}
}

func checkJWT(r *report, path []step, j *JWT) {
	option := func(name string) []step { return below(path, step{name: name}) }
	if j.Issuer == "" && !r.unsure(option("issuer")) {
		r.errorf(path, "jwt: needs issuer:")
	}
	if len(j.Audience) == 0 && !r.unsure(option("audience")) {
		r.errorf(path, "jwt: needs audience:; without it, a token for any other service would do")
	}
	if u, err := checkEndpoint(j.Issuer); j.Issuer != "" && err != nil {
		r.errorf(option("issuer"), "jwt.issuer: %s: %v", quoteURL(r.text(option("issuer"))), err)
	} else if u != nil && strings.Contains(j.Issuer, "?") {
		r.errorf(option("issuer"), "jwt.issuer: %s: an issuer has no query", quoteURL(r.text(option("issuer"))))
	}
	if _, err := checkEndpoint(j.JWKSURL); j.JWKSURL != "" && err != nil {
		r.errorf(option("jwks_url"), "jwt.jwks_url: %s: %v", quoteURL(r.text(option("jwks_url"))), err)
	}
	for i, name := range j.Algorithms {
		element := below(option("algorithms"), step{index: i})
		switch {
		case slices.Contains(algorithms(), name) || r.unsure(element):
		case strings.HasPrefix(name, "HS"):
			r.errorf(element, "jwt.algorithms: %s needs the issuer's own secret here; use an asymmetric one", r.quote(element))
		default:
			r.errorf(element, "jwt.algorithms: %s is none of %s%s",
				r.quote(element), strings.Join(algorithms(), ", "), r.didYouMean(element, algorithms()))
		}
	}
	if strings.Trim(j.Type, letters+digits+"!#$&^_.+-/") != "" {
		r.errorf(option("type"), "jwt.type: %s is not a media type such as at+jwt", r.quote(option("type")))
	}
	if j.Cookie != "" {
		r.checkParameter(option("cookie"), j.Cookie)
	}
	checkJWKS(r, path, j)
}

// checkJWKS checks where an authenticator's keys come from, and how long they are good.
func checkJWKS(r *report, path []step, j *JWT) {
	option := func(name string) []step { return below(path, step{name: name}) }
	switch file := option("jwks_file"); {
	case j.JWKSFile == "" || r.unsure(file):
	case j.JWKSURL != "":
		r.errorf(file, "jwt: jwks_url: and jwks_file: exclude each other")
	default: // it would be read when the first token comes, and nobody would look then
		if err := checkFile(j.JWKSFile); err != nil {
			r.errorf(file, "jwt.jwks_file: %s: %v", r.quote(file), err)
		}
	}
	ttl := option("jwks_ttl")
	switch {
	case j.JWKSFile != "" && r.has(ttl):
		r.errorf(ttl, "jwt.jwks_ttl: does nothing with jwks_file:, which is read again after jwks_min_refresh")
	case !r.has(ttl):
		j.JWKSTTL = max(j.JWKSTTL, j.JWKSMinRefresh)
	case j.JWKSTTL < j.JWKSMinRefresh && !r.unsure(ttl):
		r.errorf(ttl, "jwt.jwks_ttl: must not be less than jwks_min_refresh, %s", short(j.JWKSMinRefresh))
	}
	r.between(option("jwks_ttl"), j.JWKSTTL, time.Second, 24*time.Hour)
	r.between(option("jwks_min_refresh"), j.JWKSMinRefresh, time.Second, time.Hour)
	r.between(option("jwks_stale"), j.JWKSStale, 0, 24*time.Hour)
}

func (c *Config) hasAPIKeys() bool {
	for a := range maps.Values(c.Authenticators) {
		if a.APIKey != nil {
			return true
		}
	}
	return false
}
