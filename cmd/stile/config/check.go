package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// check finds what is wrong with the values, after the decoder found what is wrong with
// their forms. What depends on a part that could not be read is left unsaid.
func (c *Config) check(r *report) {
	c.checkListen(r)
	c.checkAdmin(r)
	c.checkTrust(r)
	c.checkHosts(r)
	c.checkStore(r)
	c.checkPepper(r)
	c.checkSettings(r)
	c.checkAuthenticators(r)
	c.checkLimits(r)
	c.checkThrottle(r)
	c.checkRoutes(r)
	c.checkUpstreams(r)
	c.checkUnused(r)
	c.checkConsumers(r)
}

// checkHosts tries each entry by itself, so that each error has its line.
func (c *Config) checkHosts(r *report) {
	for i, host := range c.Hosts {
		path := at("hosts", i)
		if _, err := policy.ParseHosts([]string{host}); err != nil && !r.unsure(path) {
			r.errorf(path, "%s", r.reason(path, "hosts", err))
		}
	}
}

// checkStore never shows the URL: it may hold a password.
func (c *Config) checkStore(r *report) {
	if path := at("store"); !r.unsure(path) {
		if err := store.CheckURL(c.Store.Reveal()); err != nil {
			r.errorf(path, "%v", err)
		}
	}
}

// checkPepper warns where a copy of the store is enough to try guesses at keys.
func (c *Config) checkPepper(r *report) {
	if c.StoreScheme() != "memory" && c.hasAPIKeys() && !r.has(at("keys", "pepper")) && !r.touched(at("keys")) {
		r.warnf(at("store"), "store: keys have no pepper, so a copy of the store is enough to try guesses at them; set keys.pepper")
	}
}

// checkSettings covers cache, keys and log.
func (c *Config) checkSettings(r *report) {
	if n := c.Cache.Entries; (n < 1 || n > 10_000_000) && !r.unsure(at("cache", "entries")) {
		r.errorf(at("cache", "entries"), "cache.entries: must be from 1 to 10000000")
	}
	r.between(at("cache", "ttl"), c.Cache.TTL, time.Second, 5*time.Minute)
	r.between(at("cache", "stale_grace"), c.Cache.StaleGrace, 0, 24*time.Hour)

	if path := at("keys", "prefix"); !isPrefix(c.Keys.Prefix) && !r.unsure(path) {
		r.errorf(path, "keys.prefix: must be 1 to 16 letters and digits")
	}
	c.checkPeppers(r)
	levels := []string{"debug", "info", "warn", "error"}
	if path := at("log", "level"); !slices.Contains(levels, c.Log.Level) && !r.unsure(path) {
		r.errorf(path, "log.level: %s is none of %s%s", r.quote(path), strings.Join(levels, ", "), r.didYouMean(path, levels))
	}
}

// between checks a duration's bounds.
func (r *report) between(path []step, d, least, most time.Duration) {
	if d >= least && d <= most || r.unsure(path) {
		return
	}
	_, rest := r.owner(path)
	r.errorf(path, "%s: must be from %s to %s", optionName(rest), short(least), short(most))
}

// short writes a duration as people do: 5m, not 5m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// didYouMean suggests a known name for the text at a path.
func (r *report) didYouMean(path []step, known []string) string {
	if r.expanded(path) {
		return ""
	}
	return didYouMean(r.text(path), known)
}

func isPrefix(text string) bool {
	return text != "" && len(text) <= 16 && strings.Trim(text, letters+digits) == ""
}

const (
	lower   = "abcdefghijklmnopqrstuvwxyz"
	letters = lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
)

// checkName checks a name that becomes the label of a metric.
func (r *report) checkName(path []step, name string) {
	ok := name != "" && len(name) <= 63 && strings.IndexByte(lower+digits, name[0]) >= 0 &&
		strings.Trim(name, lower+digits+"_.-") == ""
	if !ok && !r.unsure(path) {
		r.errorf(path, "a name is 1 to 63 small letters, digits and _ . - and begins with a letter or digit")
	}
}

// checkEndpoint checks a URL that keys or claims come from: over plain HTTP anybody on
// the way could put in their own.
func checkEndpoint(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("not a URL of the form https://host/path")
	case u.User != nil || strings.Contains(text, "#"):
		return nil, fmt.Errorf("a URL here has no user and no fragment")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("must be https; http is for loopback addresses only")
	}
	return u, nil
}
