package policy

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Options is what an Engine is made of.
type Options struct {
	Routes    []Route
	Directory Directory // may be nil when no identity names a consumer
	Hosts     Hosts
	Carriers  []Carrier        // where credentials stand, of every authenticator
	Now       func() time.Time // nil for time.Now
}

// Carrier is a place in a request where a credential stands. One field is set.
type Carrier struct {
	Header, Query, Cookie string // Header in canonical form
	Hide                  bool   // must not reach an upstream
}

// Engine decides. It is compiled once and never changes; a reload makes another.
type Engine struct {
	routes    *routes
	all       []*Route
	directory Directory
	hosts     Hosts
	guard     guard
	methods   map[string]bool
	hidden    []Carrier
	now       func() time.Time
}

// NewEngine compiles routes, or returns every problem with them; those of one route are
// of type *RouteError.
func NewEngine(o Options) (*Engine, []error) {
	e := &Engine{directory: o.Directory, hosts: o.Hosts, methods: map[string]bool{}, now: o.Now}
	if e.now == nil {
		e.now = time.Now
	}
	for _, m := range []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions,
	} {
		e.methods[m] = true
	}
	var errs []error
	var parsed []*Route
	for i := range o.Routes {
		r := &o.Routes[i]
		e.all = append(e.all, r)
		if err := r.compile(); err != nil {
			errs = append(errs, err)
			continue
		}
		if r.pattern.method != "" {
			e.methods[r.pattern.method] = true
		}
		parsed = append(parsed, r)
	}
	var overlaps []error
	e.routes, overlaps = buildRoutes(parsed)
	slices.SortFunc(overlaps, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	e.carry(o.Carriers)
	return e, append(errs, overlaps...)
}

// carry learns where credentials stand.
func (e *Engine) carry(carriers []Carrier) {
	var headers []string
	for _, c := range carriers {
		if c.Header != "" {
			headers = append(headers, c.Header)
		}
		if c.Hide {
			e.hidden = append(e.hidden, c)
		}
	}
	e.guard = newGuard(headers)
}

// Hidden lists the credentials that must not reach an upstream, on any route.
func (e *Engine) Hidden() []Carrier { return e.hidden }

// Routes lists the routes in the order of the configuration.
func (e *Engine) Routes() []*Route { return e.all }

func (r *Route) methodNames() []string {
	names := make([]string, len(r.Authenticate))
	for i, m := range r.Authenticate {
		names[i] = m.Name
	}
	return names
}

// CheckCredentialHeader refuses a header name that cannot carry a credential of its own:
// one that HTTP, an edge or we give another meaning.
func CheckCredentialHeader(name string) error {
	if !isToken(name) || strings.ContainsAny(name, "_.") {
		return fmt.Errorf("%q is not a header name that every program reads alike", name)
	}
	if newGuard(nil).read[foldName(name)] {
		return fmt.Errorf("header %s has a meaning of its own and cannot carry a key", name)
	}
	if IsIdentityHeader(name) {
		return fmt.Errorf("header %s is one that we set for upstreams", name)
	}
	return nil
}
