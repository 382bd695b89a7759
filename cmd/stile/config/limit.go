package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stile-gate/stile/policy"
)

// Limit is a policy.Limit. One of Rate and Quota is set.
type Limit struct {
	Rate         policy.Rate  `yaml:"rate"`           // such as 60/min
	Burst        int          `yaml:"burst"`          // what a rate gives at once; 0 for as much as its count
	Quota        policy.Quota `yaml:"quota"`          // such as 100000/month
	Anchor       int          `yaml:"anchor"`         // day, 1 to 28, on which a month or year begins; 0 for 1
	Per          policy.Per   `yaml:"per"`            // default consumer
	Mode         string       `yaml:"mode"`           // exact (default) or local_sync
	OnStoreError string       `yaml:"on_store_error"` // local (default), allow or deny
}

func (l *Limit) setDefaults() {
	l.Per.Kind, l.Mode, l.OnStoreError = policy.PerConsumer, string(policy.Exact), string(policy.OnErrorLocal)
}

// Policy is the same in the terms of a decision.
func (l Limit) Policy(name string) *policy.Limit {
	if l.Burst != 0 {
		l.Rate.Burst = int64(l.Burst)
	}
	if l.Anchor != 0 {
		l.Quota.Anchor = l.Anchor
	}
	return &policy.Limit{
		Name: name, Per: l.Per, Rate: l.Rate, Quota: l.Quota,
		Mode: policy.LimitMode(l.Mode), OnStoreError: policy.OnStoreError(l.OnStoreError),
	}
}

func (c *Config) checkLimits(r *report) {
	for name, l := range c.Limits {
		path := at("limits", name)
		option := func(name string) []step { return below(path, step{name: name}) }
		r.oneOf(option("mode"), l.Mode, string(policy.Exact), string(policy.LocalSync))
		r.oneOf(option("on_store_error"), l.OnStoreError,
			string(policy.OnErrorLocal), string(policy.OnErrorAllow), string(policy.OnErrorDeny))
		p := l.Policy(name)
		p.Mode, p.OnStoreError = policy.Exact, policy.OnErrorLocal // looked at already, each at its line
		err := p.Check()
		rate, quota := r.has(option("rate")), r.has(option("quota"))
		switch {
		case rate && quota:
			r.errorf(option("quota"), "rate: and quota: exclude each other; make two limits")
		case rate && r.has(option("anchor")):
			r.errorf(option("anchor"), "anchor: does nothing with rate:")
		case quota && r.has(option("burst")):
			r.errorf(option("burst"), "burst: does nothing with quota:")
		case rate:
			checkAmount(r, path, "burst", l.Burst, err)
		case quota:
			checkAmount(r, path, "anchor", l.Anchor, err)
		case !r.touched(path):
			r.errorf(path, "needs rate: or quota:")
		}
	}
	c.checkUnusedLimits(r)
}

// checkAmount places an error of policy.Limit.Check at the option that can be the cause of
// it, where that is written. The limit does not know a written 0 from none.
func checkAmount(r *report, path []step, option string, n int, err error) {
	place := path
	if written := below(path, step{name: option}); r.has(written) {
		place = written
	}
	switch {
	case r.touched(path):
	case len(place) > len(path) && n == 0:
		_, rest := r.owner(place)
		r.errorf(place, "%s: must be a number from 1", optionName(rest))
	case err != nil:
		r.errorf(place, "%v", err)
	}
}

// oneOf checks an option that is one of a few words.
func (r *report) oneOf(path []step, word string, words ...string) {
	if word != "" && !slices.Contains(words, word) && !r.unsure(path) {
		_, rest := r.owner(path)
		r.errorf(path, "%s: %s is none of %s%s", optionName(rest), r.quote(path), strings.Join(words, ", "), r.didYouMean(path, words))
	}
}

// checkUnusedLimits warns of limits that no route names: keys can have them, and the
// configuration does not know these.
func (c *Config) checkUnusedLimits(r *report) {
	used, sure := map[string]bool{}, !r.unsure(at("routes"))
	for i, route := range c.Routes {
		sure = sure && !r.touched(at("routes", i, "limit"))
		for _, name := range route.Limit {
			_, ok := c.Limits[name]
			used[name], sure = true, sure && ok
		}
	}
	for name := range c.Limits {
		path := at("limits", name)
		switch {
		case used[name] || !sure:
		case c.hasAPIKeys() || r.touched(at("authenticators")):
			r.warnf(path, "no route names it; only keys that have it as their own are counted by it")
		default:
			r.errorf(path, "does nothing: no route names it, and no authenticator is an api_key")
		}
	}
}

// checkRouteLimits checks what a route says of limits.
func (c *Config) checkRouteLimits(r *report, path []step, route *Route) {
	limit, cost := below(path, step{name: "limit"}), below(path, step{name: "cost"})
	known := slices.Collect(maps.Keys(c.Limits))
	for i, name := range route.Limit {
		element := below(limit, step{index: i})
		l, ok := c.Limits[name]
		switch {
		case r.unsure(element):
		case !ok:
			if !r.unsure(at("limits")) {
				r.errorf(element, "no limit %s%s", r.quote(element), r.didYouMean(element, known))
			}
		case !r.touched(at("limits", name)):
			c.checkRouteLimit(r, element, route, l.Policy(name))
		}
	}
	switch {
	case !r.has(cost) || r.unsure(cost):
	case route.Cost < 1:
		r.errorf(cost, "cost: must be a number from 1")
	case !r.has(limit) && !r.unsure(limit):
		r.errorf(cost, "cost: does nothing without limit:")
	default:
		c.checkCost(r, cost, route)
	}
}

// checkCost refuses a cost that some limits never allow, in one problem: it is one number
// that is wrong.
func (c *Config) checkCost(r *report, cost []step, route *Route) {
	var short []string
	for i, name := range route.Limit {
		l, ok := c.Limits[name]
		if !ok || r.touched(at("limits", name)) || slices.Index(route.Limit, name) < i { // its second mention is told
			continue
		}
		what, most := "burst", l.Policy(name).Rate.Burst
		if l.Quota.Count > 0 {
			what, most = "quota", l.Quota.Count
		}
		if int64(route.Cost) > most {
			short = append(short, fmt.Sprintf("limit %s (%s %d)", quote(name), what, most))
		}
	}
	if len(short) > 0 {
		r.errorf(cost, "cost: %d is more than %s can ever give; lower it, or raise what is in brackets", route.Cost, strings.Join(short, " and "))
	}
}

// checkRouteLimit checks whether a limit can count the requests of a route.
func (c *Config) checkRouteLimit(r *report, element []step, route *Route, l *policy.Limit) {
	ofTokens := func(name string) bool { return c.Authenticators[name].APIKey == nil }
	switch kind := l.Per.Kind; {
	case route.Public != "" && kind != policy.PerIP && kind != policy.PerRoute:
		r.errorf(element, "limit %s counts per %s, and a public route knows nobody; use one per ip or per route", quote(l.Name), kind)
	case kind == policy.PerClaim && len(route.Authenticate) > 0 && !slices.ContainsFunc(route.Authenticate, ofTokens):
		r.errorf(element, "limit %s counts by a claim, and no authenticator of this route reads tokens", quote(l.Name))
	}
}
