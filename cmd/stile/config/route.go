package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/stile-gate/stile/policy"
)

func (c *Config) checkRoutes(r *report) {
	if len(c.Routes) == 0 && !r.touched(at("routes")) {
		r.errorf(at("routes"), "routes: there is none, so that every request would be refused")
	}
	authenticators := slices.Collect(maps.Keys(c.Authenticators))
	upstreams := slices.Collect(maps.Keys(c.Upstreams))
	first := map[string]int{}
	for i := range c.Routes {
		route, path := &c.Routes[i], at("routes", i)
		name := below(path, step{name: "name"})
		if route.Name == "" && !r.unsure(name) {
			r.errorf(path, "needs name:")
		} else if route.Name != "" {
			r.checkName(name, route.Name)
			if j, ok := first[route.Name]; ok {
				_, line := r.find(at("routes", j))
				r.errorf(name, "the name is taken by the route on line %d", line)
			} else {
				first[route.Name] = i
			}
		}
		if route.Match == "" && !r.unsure(below(path, step{name: "match"})) {
			r.errorf(path, "needs match:")
		}
		c.checkRouteHost(r, below(path, step{name: "match"}), route)
		c.checkDemands(r, path, route, authenticators)
		c.checkRouteLimits(r, path, route)
		c.checkRouteUpstream(r, path, route, upstreams)
	}
}

// checkRouteHost refuses a route that no request can come by, since `hosts:` refuses all.
func (c *Config) checkRouteHost(r *report, match []step, route *Route) {
	hosts, err := policy.ParseHosts(c.Hosts)
	if err != nil || r.touched(at("hosts")) || r.unsure(match) {
		return
	}
	if err := hosts.CheckMatch(route.Match); err != nil {
		r.errorf(match, "%s", r.reason(match, "match", err))
	}
}

// checkDemands checks what a route demands of those who come by it.
func (c *Config) checkDemands(r *report, path []step, route *Route, known []string) {
	authenticate, public := below(path, step{name: "authenticate"}), below(path, step{name: "public"})
	require := below(path, step{name: "require"})
	open, closed := r.has(public), r.has(authenticate)
	switch {
	case open && closed:
		r.errorf(public, "public: and authenticate: exclude each other")
	case !open && !closed && !r.unsure(authenticate):
		r.errorf(path, "needs authenticate:; a route without authentication says why, in public:")
	case open && r.has(require) && !r.unsure(require):
		r.errorf(require, "require: does nothing on a public route")
	case open && strings.TrimSpace(route.Public) == "" && !r.unsure(public):
		r.errorf(public, "public: say why")
	}
	places := map[policy.Carrier]string{}
	for i, name := range route.Authenticate {
		element := below(authenticate, step{index: i})
		if r.unsure(element) {
			continue
		}
		a, ok := c.Authenticators[name]
		if !ok {
			if !r.unsure(at("authenticators")) {
				r.errorf(element, "no authenticator %s%s", r.quote(element), r.didYouMean(element, known))
			}
			continue
		}
		if a.APIKey == nil || a.JWT != nil {
			continue
		}
		place := a.APIKey.Carrier()
		place.Hide = false
		if other, ok := places[place]; ok && place != (policy.Carrier{}) {
			r.errorf(element, "authenticators %s and %s read the same place; the second would never be asked", quote(other), quote(name))
		}
		places[place] = name
	}
}

// checkRouteUpstream checks where a route leads: only the gateway has upstreams.
func (c *Config) checkRouteUpstream(r *report, path []step, route *Route, known []string) {
	upstream := below(path, step{name: "upstream"})
	gateway := c.Listen.Proxy != ""
	_, ok := c.Upstreams[route.Upstream]
	switch {
	case r.unsure(upstream) || !gateway && r.touched(at("listen")):
	case gateway && route.Upstream == "":
		r.errorf(path, "needs upstream:, because listen.proxy is set")
	case !gateway && route.Upstream != "":
		r.errorf(upstream, "upstream: does nothing without listen.proxy")
	case gateway && !ok && !r.unsure(at("upstreams")):
		r.errorf(upstream, "no upstream %s%s", r.quote(upstream), r.didYouMean(upstream, known))
	}
}

func (c *Config) checkUpstreams(r *report) {
	for name, u := range c.Upstreams {
		path := at("upstreams", name)
		r.checkName(path, name)
		targets := below(path, step{name: "targets"})
		switch {
		case len(u.Targets) == 0 && !r.unsure(targets):
			r.errorf(path, "needs targets: with one url:")
		case len(u.Targets) > 1:
			r.errorf(below(targets, step{index: 1}), "targets: must be exactly one")
		}
		for i, t := range u.Targets {
			target := below(targets, step{index: i})
			place := below(target, step{name: "url"})
			if t.URL == nil {
				if !r.unsure(place) {
					r.errorf(target, "targets[%d]: needs url:", i)
				}
			} else if !isOrigin(t) {
				r.errorf(place, "targets[%d].url: %s is not of the form http://host[:port] or https://host[:port]; "+
					"a path, a query or a user have no place there", i, quoteURL(r.text(place)))
			}
		}
	}
}

// isOrigin tells whether a URL is scheme, host and port and nothing else.
func isOrigin(t Target) bool {
	u := *t.URL
	if u.Scheme != "http" && u.Scheme != "https" || u.String() != u.Scheme+"://"+u.Host {
		return false
	}
	_, err := policy.ParseHosts([]string{u.Host})
	return err == nil && !strings.Contains(u.Host, "*")
}

// checkUnused reports what no route refers to. Where a reference could not be read or
// leads nowhere, it may have been meant for what seems unused, so nothing is said.
func (c *Config) checkUnused(r *report) {
	authenticators, upstreams := map[string]bool{}, map[string]bool{}
	sure, sureOfUpstreams := !r.unsure(at("routes")), !r.unsure(at("routes"))
	for i, route := range c.Routes {
		sure = sure && !r.touched(at("routes", i, "authenticate"))
		sureOfUpstreams = sureOfUpstreams && !r.touched(at("routes", i, "upstream"))
		for _, name := range route.Authenticate {
			_, ok := c.Authenticators[name]
			authenticators[name], sure = true, sure && ok
		}
		if route.Upstream != "" {
			_, ok := c.Upstreams[route.Upstream]
			upstreams[route.Upstream], sureOfUpstreams = true, sureOfUpstreams && ok
		}
	}
	for name := range c.Authenticators {
		if sure && !authenticators[name] {
			r.errorf(at("authenticators", name), "does nothing: no route names it")
		}
	}
	for name := range c.Upstreams {
		if sureOfUpstreams && !upstreams[name] {
			r.errorf(at("upstreams", name), "does nothing: no route names it")
		}
	}
}
