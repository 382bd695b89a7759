package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// observer counts and logs each decision, whichever skin asked for it.
type observer struct {
	next    policy.Decider
	metrics *metrics
	log     *decisionLog // nil when decisions are not logged
	keys    policy.KeyFormat
	used    *store.LastUsed // nil for none

	mu   sync.RWMutex
	seen map[kind]*series
}

// kind is what decisions have in common in metrics and log. There are as many as edges,
// routes and reasons allow.
type kind struct {
	edge   string
	route  *policy.Route // nil when none matched
	reason policy.Reason
}

// series is where decisions of one kind are counted and logged. Finding the counters by
// their labels and formatting the same words each time would cost more than deciding.
type series struct {
	count    prometheus.Counter
	duration prometheus.Observer
	level    slog.Level
	head     string // of its log lines
}

func (o *observer) Decide(ctx context.Context, r *policy.Request) policy.Decision {
	start := time.Now()
	d := o.decide(ctx, r)
	took := time.Since(start)
	s := o.series(r, &d)
	s.count.Inc()
	s.duration.Observe(took.Seconds())
	if o.used != nil && d.Allowed() && d.Identity != nil && d.Identity.Kind == store.KindKey {
		o.used.Touch(d.Identity.ConsumerID, d.Identity.ID, start)
	}
	if o.log != nil && s.level >= o.log.level.Level() {
		o.write(s, r, &d, start.Add(took), took)
	}
	return d
}

// decide turns a panic, a mistake of ours, into a decision that we cannot make: net/http
// would cut the connection, and what an edge makes of that is its own affair.
func (o *observer) decide(ctx context.Context, r *policy.Request) (d policy.Decision) {
	defer func() {
		if p := recover(); p != nil {
			d = policy.Decision{RequestID: r.ID, Err: fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	return o.next.Decide(ctx, r)
}

func (o *observer) series(r *policy.Request, d *policy.Decision) *series {
	k := kind{r.Edge, d.Route, d.Reason}
	o.mu.RLock()
	s := o.seen[k]
	o.mu.RUnlock()
	if s != nil {
		return s
	}
	route := ""
	if k.route != nil {
		route = k.route.Name
	}
	s = &series{
		count:    o.metrics.decisions.WithLabelValues(k.edge, route, k.reason.String()),
		duration: o.metrics.duration.WithLabelValues(k.edge),
	}
	if k.reason == policy.Unavailable {
		s.level = slog.LevelError
	}
	s.head = headOf(s.level, "decision",
		[2]string{"edge", k.edge}, [2]string{"route", route}, [2]string{"reason", k.reason.String()})
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen == nil {
		o.seen = map[kind]*series{}
	}
	o.seen[k] = s
	return s
}

// write puts down the one line of a decision. Headers and the query stay out: a
// credential may stand in them. Where a key stands in what is logged, it is masked.
func (o *observer) write(s *series, r *policy.Request, d *policy.Decision, at time.Time, took time.Duration) {
	o.log.write(at, s.head, func(l *line) {
		l.some("request_id", o.keys.Mask(r.ID))
		l.some("trace_id", traceID(r.Header["Traceparent"]))
		l.some("method", o.keys.Mask(r.Method))
		l.some("host", r.Host)
		l.some("path", o.keys.MaskPath(r.RawPath()))
		if r.ClientIP.IsValid() {
			l.address("client_ip", r.ClientIP)
		}
		if d.By != nil {
			l.text("authenticator", d.By.Name)
		}
		if d.Consumer != nil {
			l.some("consumer", o.keys.Mask(d.Consumer.ID))
		}
		if d.Identity != nil {
			l.some("credential", o.keys.Mask(d.Identity.Credential))
		}
		if d.Err != nil {
			l.some("detail", o.keys.Mask(d.Err.Error()))
		}
		l.number("latency_us", took.Microseconds())
	})
}

// traceID is the trace-id of a W3C traceparent header, "" where there is none.
func traceID(values []string) string {
	const length = len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if len(values) != 1 || len(values[0]) < length || values[0][2] != '-' || values[0][35] != '-' {
		return ""
	}
	id := values[0][3:35]
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	return id
}
