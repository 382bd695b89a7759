package main

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics holds every metric of the process, by the names of docs/operations.md. No label
// holds a path, a consumer or a key: their values are bounded by the configuration.
type metrics struct {
	registry  *prometheus.Registry
	decisions *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	reloads   *prometheus.CounterVec
	cache     *prometheus.CounterVec
	cached    map[[2]string]prometheus.Counter // of cache, by its labels: found anew, each would cost a look-up's time
	store     *prometheus.HistogramVec
	storeErrs *prometheus.CounterVec
	storeUp   prometheus.Gauge
	limits    *prometheus.CounterVec
	rehashed  *prometheus.CounterVec
	followed  prometheus.Gauge
	lag       prometheus.Histogram
	upstream  *prometheus.CounterVec
	upstreamT *prometheus.HistogramVec
}

// fastBuckets run from 5 µs, a warm decision, to 2.5 s, a dead store.
func fastBuckets() []float64 {
	return []float64{5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 1e-2, 5e-2, 0.25, 1, 2.5}
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &metrics{
		registry:  prometheus.NewRegistry(),
		decisions: counter("stile_decisions_total", "Decisions by edge, route and reason.", "edge", "route", "reason"),
		duration:  histogram("stile_decision_duration_seconds", "Time from a request read to its decision.", fastBuckets(), "edge"),
		reloads:   counter("stile_config_reloads_total", "Configuration reloads: ok, or failed and the old one kept.", "result"),
		cache:     counter("stile_cache_requests_total", "Look-ups in the local cache: hit, miss, negative, stale or error.", "cache", "result"),
		store:     histogram("stile_store_duration_seconds", "Time of store operations.", fastBuckets(), "op"),
		storeErrs: counter("stile_store_errors_total", "Store operations that failed, those among them that were not sent because the store had failed a moment ago.", "op"),
		storeUp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "stile_store_up", Help: "1 while the store answers and takes writes, as /readyz has it.",
		}),
		followed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "stile_changes_followed", Help: "1 while what other replicas change is heard of, or none is; 0 when caches are asked anew after 2 s.",
		}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "stile_change_lag_seconds", Help: "Age of a change when it was applied here, by the store's clock.", Buckets: fastBuckets(),
		}),
		limits:    counter("stile_limit_requests_total", "Questions to counters of limits: exact or leased, or while the store is down local, allowed or error.", "result"),
		rehashed:  counter("stile_keys_rehashed_total", "Keys found under a hash of before and taken to the one with keys.pepper: moved, gone, failed or dropped.", "result"),
		upstream:  counter("stile_upstream_requests_total", "Requests that the gateway passed on, by status.", "upstream", "target", "code"),
		upstreamT: histogram("stile_upstream_duration_seconds", "Time until an upstream's response head.", prometheus.DefBuckets, "upstream"),
	}
	m.storeUp.Set(1)
	m.reloads.WithLabelValues("ok")
	m.reloads.WithLabelValues("failed")
	for _, result := range []string{"moved", "gone", "failed", "dropped"} {
		m.rehashed.WithLabelValues(result)
	}
	m.cached = map[[2]string]prometheus.Counter{}
	for _, cache := range []string{"credential", "consumer", "revocation"} {
		for _, result := range []string{"hit", "miss", "negative", "stale", "error"} {
			m.cached[[2]string{cache, result}] = m.cache.WithLabelValues(cache, result)
		}
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.decisions, m.duration, m.reloads, m.cache, m.store, m.storeErrs, m.storeUp, m.limits, m.rehashed, m.followed, m.lag, m.upstream, m.upstreamT,
	)
	return m
}

func (m *metrics) observeStore(op string, took time.Duration, err error) {
	m.store.WithLabelValues(op).Observe(took.Seconds())
	if err != nil {
		m.storeErrs.WithLabelValues(op).Inc()
	}
}

func (m *metrics) countCache(cache, result string) {
	if counter, ok := m.cached[[2]string{cache, result}]; ok {
		counter.Inc()
		return
	}
	m.cache.WithLabelValues(cache, result).Inc()
}

func (m *metrics) countLimit(result string) { m.limits.WithLabelValues(result).Inc() }

func (m *metrics) follows(yes bool) {
	m.followed.Set(0)
	if yes {
		m.followed.Set(1)
	}
}

func (m *metrics) observeChange(lag time.Duration) { m.lag.Observe(lag.Seconds()) }

func (m *metrics) observeUpstream(upstream, target string, code int, took time.Duration) {
	m.upstream.WithLabelValues(upstream, target, strconv.Itoa(code)).Inc()
	m.upstreamT.WithLabelValues(upstream).Observe(took.Seconds())
}
