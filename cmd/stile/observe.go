package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/stile-gate/stile/policy"
)

// observer counts and logs each decision, whichever skin asked for it.
type observer struct {
	next    policy.Decider
	metrics *metrics
	log     *slog.Logger // nil when decisions are not logged
}

func (o *observer) Decide(ctx context.Context, r *policy.Request) policy.Decision {
	start := time.Now()
	d := o.next.Decide(ctx, r)
	took := time.Since(start)
	o.metrics.decisions.of(r.Edge, &d).Inc()
	o.metrics.duration.WithLabelValues(r.Edge).Observe(took.Seconds())
	if o.log != nil {
		o.write(ctx, r, &d, took)
	}
	return d
}

// write puts down the one line of a decision. Headers and the query stay out: a
// credential may stand in them.
func (o *observer) write(ctx context.Context, r *policy.Request, d *policy.Decision, took time.Duration) {
	attrs := make([]slog.Attr, 0, 16)
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	add("request_id", r.ID)
	add("trace_id", traceID(r.Header["Traceparent"]))
	add("edge", r.Edge)
	add("reason", d.Reason.String())
	if d.Route != nil {
		add("route", d.Route.Name)
	}
	add("method", r.Method)
	add("host", r.Host)
	add("path", r.RawPath())
	if r.ClientIP.IsValid() {
		add("client_ip", r.ClientIP.String())
	}
	add("authenticator", d.Method)
	if d.Consumer != nil {
		add("consumer", d.Consumer.ID)
	}
	if d.Identity != nil {
		add("credential", d.Identity.Credential)
	}
	if d.Err != nil {
		add("detail", d.Err.Error())
	}
	attrs = append(attrs, slog.Int64("latency_us", took.Microseconds()))
	level := slog.LevelInfo
	if d.Reason == policy.Unavailable {
		level = slog.LevelError
	}
	o.log.LogAttrs(ctx, level, "decision", attrs...)
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
