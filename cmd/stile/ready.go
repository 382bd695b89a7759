package main

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
)

// readiness answers /readyz: whether requests should come here. It is ready while the
// store answers, and, because cached keys are served that long, for stale_grace after it
// stopped; and once the keys of every issuer were loaded.
type readiness struct {
	live     *live
	draining atomic.Bool

	mu      sync.Mutex
	checked time.Time
	lastOK  time.Time // zero until the store has answered once
	err     error
}

// probeEvery bounds how often asking for readiness asks the store.
const probeEvery = 500 * time.Millisecond

type readyReport struct {
	Ready   bool              `json:"ready"`
	Store   string            `json:"store"`             // ok, degraded or down
	Issuers map[string]string `json:"issuers,omitempty"` // loaded, stale or missing
	Detail  string            `json:"detail,omitempty"`
}

func (r *readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	report := r.report(req.Context())
	w.Header().Set("Content-Type", "application/json")
	if !report.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(report)
}

func (r *readiness) report(ctx context.Context) readyReport {
	prog := r.live.current.Load()
	report := readyReport{Ready: true, Store: "ok", Issuers: map[string]string{}}
	for name, tokens := range prog.tokens {
		state := tokens.State()
		report.Issuers[name] = state.String()
		report.Ready = report.Ready && state.Usable()
	}
	lastOK, err := r.probe(ctx)
	if err != nil {
		report.Store, report.Detail = "degraded", "the store is in trouble: "+store.Trouble(err)+"; what is cached is served"
		if lastOK.IsZero() || time.Since(lastOK) > prog.config.Cache.StaleGrace {
			report.Store, report.Ready = "down", false
		}
	}
	if r.draining.Load() {
		report.Ready, report.Detail = false, "shutting down"
	}
	return report
}

// watch keeps an eye on the store, so that an outage is known from its beginning and stands
// in the log with its end.
func (r *readiness) watch(ctx context.Context) {
	tick := time.NewTicker(2 * probeEvery)
	defer tick.Stop()
	for down := false; ; {
		_, err := r.probe(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !down:
			r.live.log.Error("the store is in trouble: "+store.Trouble(err), "error", err)
		case err == nil && down:
			r.live.log.Info("the store is well again")
		}
		down = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// probe pings the store, or repeats what it said a moment ago. One that answers and takes no
// writes shows by changes that are not followed. LastOK is when it answered.
func (r *readiness) probe(ctx context.Context) (lastOK time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.checked) > probeEvery {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		r.checked, r.err = now, r.live.store.Ping(ctx)
		if r.err == nil {
			r.lastOK, r.err = now, r.live.replica.unfollowed()
		}
		r.live.metrics.storeUp.Set(1)
		if r.err != nil {
			r.live.metrics.storeUp.Set(0)
		}
	}
	return r.lastOK, r.err
}
