package policy

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"
)

// Options is what an Engine is made of.
type Options struct {
	Routes    []Route
	Directory Directory // may be nil when no identity names a consumer
	Hosts     Hosts
	Carriers  []Carrier        // where credentials stand, of every authenticator
	Limits    []*Limit         // those that a credential can have beside its route's
	Meter     Meter            // may be nil when nothing is limited
	Throttle  Throttle         // nil for none
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
	limits    map[string]*Limit
	meter     Meter
	attempts  Throttle
	now       func() time.Time
}

// Dry is the same engine with another meter and without a throttle: it decides alike, and
// leaves no trace.
func (e *Engine) Dry(meter Meter) *Engine {
	dry := *e
	dry.meter, dry.attempts = meter, nil
	return &dry
}

// NewEngine compiles routes, or returns every problem with them and no engine; those of
// one route are of type *RouteError.
func NewEngine(o Options) (*Engine, []error) {
	e := &Engine{
		directory: o.Directory, hosts: o.Hosts, methods: map[string]bool{},
		limits: map[string]*Limit{}, meter: o.Meter, attempts: o.Throttle, now: o.Now,
	}
	for _, l := range o.Limits {
		e.limits[l.Name] = l
	}
	if e.meter == nil {
		e.meter = noMeter{}
	}
	if e.now == nil {
		e.now = time.Now
	}
	for _, m := range []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions,
	} {
		e.methods[m] = true
	}
	if e.directory == nil {
		e.directory = noDirectory{}
	}
	var errs []error
	for i := range o.Routes {
		r := o.Routes[i] // a copy: nobody else can change it
		if err := r.compile(); err != nil {
			errs = append(errs, err)
			continue
		}
		if r.pattern.method != "" {
			e.methods[r.pattern.method] = true
		}
		e.all = append(e.all, &r)
	}
	var overlaps []error
	e.routes, overlaps = buildRoutes(e.all)
	slices.SortFunc(overlaps, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	e.carry(o.Carriers)
	if errs = append(errs, overlaps...); len(errs) > 0 {
		return nil, errs
	}
	return e, nil
}

// noDirectory knows nobody, and knows that it does not know.
type noDirectory struct{}

func (noDirectory) Consumer(context.Context, string) (*Consumer, error) {
	return nil, errors.New("there is no directory of consumers")
}

// noMeter cannot know how anything stands.
type noMeter struct{}

func (noMeter) Spend(context.Context, []Charge) ([]Balance, error) {
	return nil, errors.New("there is no meter for limits")
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

func (r *Route) authenticatorNames() []string {
	names := make([]string, len(r.Authenticate))
	for i, a := range r.Authenticate {
		names[i] = a.Name
	}
	return names
}
