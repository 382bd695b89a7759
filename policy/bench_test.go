package policy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"
)

// many is n routes in a mix: literals, wildcards, hosts of their own and *. hosts, alike
// for every n, so that one request finds its like among ten and among ten thousand.
func many(n int) []Route {
	routes := make([]Route, n)
	for i := range routes {
		id := fmt.Sprintf("%05d", i/5)
		match := [...]string{
			"GET /v1/service-" + id + "/orders",
			"/v1/service-" + id + "/orders/{order}/lines/{line}",
			"GET tenant-" + id + ".example.com/v1/orders/{rest...}",
			"*.region-" + id + ".example.com/v1/orders/{order}",
			"POST /v2/service-" + id + "/{rest...}",
		}[i%5]
		routes[i] = Route{Name: match, Match: match, Public: "for a benchmark"}
	}
	return routes
}

// lookups are the requests for one service of n/5, in the middle.
func lookups(n int) [][3]string { return requestsOf(n / 5 / 2) }

// requestsOf are the requests for one service: one of each kind of route, and one of none.
func requestsOf(service int) [][3]string {
	id := fmt.Sprintf("%05d", service)
	return [][3]string{
		{"GET", "api.example.com", "/v1/service-" + id + "/orders"},
		{"PUT", "api.example.com", "/v1/service-" + id + "/orders/4711/lines/3"},
		{"GET", "tenant-" + id + ".example.com", "/v1/orders/4711/lines"},
		{"GET", "shop.region-" + id + ".example.com", "/v1/orders/4711"},
		{"POST", "api.example.com", "/v2/service-" + id + "/a/b/c"},
		{"GET", "api.example.com", "/v1/service-none/orders"},
	}
}

func TestTheMixOfTheBenchmarksMatches(t *testing.T) {
	for _, n := range []int{10, 10_000} {
		e := compiled(t, Options{Routes: many(n)})
		for i, l := range lookups(n) {
			if r := e.routes.match(l[0], l[1], l[2]); (r == nil) != (i == 5) {
				t.Errorf("of %d routes, %v is matched by %v", n, l, r)
			}
		}
	}
}

func matchAll(e *Engine, requests [][3]string) {
	for _, l := range requests {
		e.routes.match(l[0], l[1], l[2])
	}
}

// BenchmarkMatch is one look-up of each of the six kinds an operation: the same six again
// and again, or those of another service each time, which the processor's caches feel.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		e := compiled(b, Options{Routes: many(n)})
		requests := lookups(n)
		b.Run(fmt.Sprintf("same/routes=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				matchAll(e, requests)
			}
		})
		spread := make([][][3]string, n/5)
		for i, service := range rand.Perm(n / 5) {
			spread[i] = requestsOf(service)
		}
		b.Run(fmt.Sprintf("spread/routes=%d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				matchAll(e, spread[i%len(spread)])
			}
		})
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	e, requests := compiled(t, Options{Routes: many(100)}), lookups(100)
	if n := testing.AllocsPerRun(100, func() { matchAll(e, requests) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestMatchScales compares 10 routes with 10,000. Rounds take turns, so that noise of the
// machine falls on both; the median does away with bursts; one quiet try is enough.
func TestMatchScales(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("measures time")
	}
	const atMost, tries, rounds, lookupsPerRound = 1.5, 5, 31, 400
	few, lots := compiled(t, Options{Routes: many(10)}), compiled(t, Options{Routes: many(10_000)})
	fewRequests, lotsRequests := lookups(10), lookups(10_000)
	measure := func(e *Engine, requests [][3]string) time.Duration {
		start := time.Now()
		for range lookupsPerRound {
			matchAll(e, requests)
		}
		return time.Since(start)
	}
	var ratios []float64
	for range tries {
		var a, b []time.Duration
		for range rounds {
			a = append(a, measure(few, fewRequests))
			b = append(b, measure(lots, lotsRequests))
		}
		slices.Sort(a)
		slices.Sort(b)
		ratio := float64(b[rounds/2]) / float64(a[rounds/2])
		ratios = append(ratios, ratio)
		if ratio <= atMost {
			t.Logf("10,000 routes take %.2f times as long as 10", ratio)
			return
		}
	}
	t.Errorf("10,000 routes take %.2f times as long as 10, want at most %.1f", ratios, atMost)
}

// BenchmarkDecideAPIKey is what a decision costs beside the proof of the key.
func BenchmarkDecideAPIKey(b *testing.B) {
	id := key(func(i *Identity) { i.Consumer = acme })
	route := Route{
		Name: "orders", Match: "GET api.example.com/v1/orders/{path...}",
		Authenticate: []NamedAuthenticator{says("partner", APIKey, id, nil)},
		Require:      Require{Groups: []string{"staff", "partners"}, Scopes: []string{"orders:read"}},
	}
	e := compiled(b, Options{Routes: append(many(100), route), Carriers: []Carrier{{Header: "X-Api-Key", Hide: true}}})
	wire := func(w *Wire) {
		w.Target = "/v1/orders/4711?lines=all"
		w.Header = http.Header{
			"X-Api-Key": {"stile_0"}, "User-Agent": {"curl/8.5.0"}, "Accept": {"*/*"}, "X-Request-Id": {"r-1"}, "Accept-Encoding": {"gzip"},
			"X-Forwarded-Method": {"GET"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"api.example.com"},
			"X-Forwarded-Uri": {"/v1/orders/4711?lines=all"}, "X-Forwarded-For": {"192.0.2.7"},
		}
	}
	read := overWire(wire)
	ctx := context.Background()
	if d := e.Decide(ctx, read); !d.Allowed() {
		b.Fatal(d.Err)
	}
	b.Run("decide", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e.Decide(ctx, read)
		}
	})
	b.Run("read and decide", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e.Decide(ctx, overWire(wire))
		}
	})
}

// BenchmarkReadTarget is the reading of one request target.
func BenchmarkReadTarget(b *testing.B) {
	for name, raw := range map[string]string{"plain": "/v1/orders/4711?lines=all", "escaped": "/v1/%6frders/caf%c3%a9?lines=all"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = parseTarget(raw)
			}
		})
	}
}

// wildly is n routes whose wildcards stand before their literals: each must be held
// against all the literals at its place.
func wildly(n int) []Route {
	routes := make([]Route, n)
	for i := range routes {
		match := fmt.Sprintf([...]string{"/{tenant}/orders-%d", "/tenant-%d/bills"}[i%2], i)
		routes[i] = Route{Name: match, Match: match, Public: "for a benchmark"}
	}
	return routes
}

// BenchmarkLoad is NewEngine, from patterns to trees, overlaps looked for.
func BenchmarkLoad(b *testing.B) {
	for name, routes := range map[string]func(int) []Route{"mixed": many, "wildcards first": wildly} {
		for _, n := range []int{1_000, 10_000} {
			made := routes(n)
			b.Run(fmt.Sprintf("%s/routes=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, errs := NewEngine(Options{Routes: made}); len(errs) > 0 {
						b.Fatal(errs[0])
					}
				}
			})
		}
	}
}
