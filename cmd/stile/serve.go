package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/stile-gate/stile/authsvc"
	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/cmd/stile/config"
	"github.com/stile-gate/stile/proxy"
)

// drainTime is how long requests that are under way have to end at a shutdown.
const drainTime = 10 * time.Second

func newServe() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "serve -c stile.yaml", Short: "Answer edges, and serve the gateway and the admin API", Args: takes(0, "no arguments; the configuration goes into -c"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			tradeMemoryForTime()
			s, err := loadServer(path, os.Stderr, nil)
			if err != nil {
				return err
			}
			return s.run(cmd.Context())
		},
	}
	configFlag(cmd, &path)
	return cmd
}

// tradeMemoryForTime lets the heap grow to five times what is in use before it is collected
// again, where Go would say two: collecting is the largest part of what a decision costs,
// and what is in use is bounded by the cache. GOGC and GOMEMLIMIT say otherwise.
func tradeMemoryForTime() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", "stile.yaml", "configuration file")
}

// server is a whole running stile: what serve, demo and the tests start alike.
type server struct {
	live      *live
	logs      *logBuffer
	ready     *readiness
	listeners []listener
	loaded    [sha256.Size]byte // content of the file that was loaded
}

// listener is one address and what is served there.
type listener struct {
	name string
	net.Listener
	http *http.Server
}

// loadServer is newServer for a file, which run follows from then on.
func loadServer(path string, logTo io.Writer, opened map[string]net.Listener) (*server, error) {
	loaded := contentOf(path) // before it is read, so that no change after it is missed
	c, problems := loadConfig(path)
	s, err := newServer(c, problems, path, logTo, opened)
	if err != nil {
		return nil, err
	}
	s.loaded = loaded
	return s, nil
}

// contentOf tells one content of a file from another.
func contentOf(path string) [sha256.Size]byte {
	text, err := os.ReadFile(path)
	if err != nil {
		return [sha256.Size]byte{} // loading it says why
	}
	return sha256.Sum256(text)
}

// newServer compiles the configuration and opens every listener that opened does not hold
// already, by name. Problems are those of the load; its error lists them one a line.
func newServer(c *config.Config, problems config.Problems, path string, logTo io.Writer, opened map[string]net.Listener) (s *server, err error) {
	if err := problems.Err(); err != nil {
		return nil, err
	}
	s = &server{logs: newLogBuffer(logTo)}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	level := new(slog.LevelVar)
	log := slog.New(slog.NewJSONHandler(s.logs, &slog.HandlerOptions{Level: level}))
	p := parts{metrics: newMetrics(), log: log, level: level, decisions: newDecisionLog(s.logs, level), transport: newTransport()}
	if p.store, err = openStore(c.Store.Reveal(), p.metrics.observeStore); err != nil {
		return nil, c.Problem(c.At("store"), "%v", err)
	}
	p.meter, p.used, p.replica = newMeter(p.store, p.metrics), store.NewLastUsed(p.store), newReplica(p.store)
	p.rehash = store.NewRehasher(p.store, p.rehashed)
	p.metrics.follows(p.followed())
	s.live = &live{parts: p, path: path, changed: make(chan struct{}, 1)}
	prog, more := compile(c, p, nil)
	if err := more.Err(); err != nil {
		return nil, err
	}
	for _, w := range append(problems, more...) {
		log.Warn("configuration", "problem", w.Error())
	}
	s.live.force(prog)
	s.ready = &readiness{live: s.live}
	return s, s.listen(c.Listen, opened)
}

// newTransport is how the gateway reaches upstreams: never through a proxy that the
// environment names, and never adding an encoding that the client did not ask for.
func newTransport() http.RoundTripper {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   256,
		DisableCompression:    true,
		ForceAttemptHTTP2:     true,
	}
}

func (s *server) listen(l config.Listen, opened map[string]net.Listener) (err error) {
	for _, face := range []struct {
		name, address string
		http          *http.Server
	}{
		{"auth", l.Auth, authsvc.NewServer(s.live.handler(func(p *program) http.Handler { return p.auth }))},
		{"proxy", l.Proxy, proxy.NewServer(s.live.handler(func(p *program) http.Handler { return p.proxy }))},
		{"admin", l.Admin, authsvc.NewServer(s.adminHandler())},
	} {
		if face.address == "" {
			continue
		}
		ln := opened[face.name]
		if ln == nil {
			if ln, err = net.Listen("tcp", face.address); err != nil {
				return fmt.Errorf("listen.%s: %w", face.name, err)
			}
		}
		face.http.ErrorLog = slog.NewLogLogger(s.live.log.Handler(), slog.LevelWarn)
		s.listeners = append(s.listeners, listener{face.name, ln, face.http})
	}
	return nil
}

func (s *server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "alive") })
	mux.Handle("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.live.metrics.registry, promhttp.HandlerOpts{}))
	admin := s.live.handler(func(p *program) http.Handler { return p.admin })
	mux.Handle("/v1/", admin)
	mux.Handle("/debug/pprof/", admin)
	return mux
}

// run serves until ctx ends or a listener fails, then drains.
func (s *server) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.close()
	failed := make(chan error, len(s.listeners))
	for _, l := range s.listeners {
		s.live.log.Info("listening", "listener", l.name, "address", l.Addr().String())
		go func() {
			if err := l.http.Serve(l.Listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("listen.%s: %w", l.name, err)
			}
		}()
	}
	go s.live.warm(ctx)
	go s.ready.watch(ctx)
	go s.live.current.Load().revoked.Run(ctx) // a reload keeps it
	var kept sync.WaitGroup                   // what writes to the store, some of it once more at the end
	kept.Go(func() { s.live.meter.Run(ctx) })
	kept.Go(func() { s.live.used.Run(ctx, s.live.unused) })
	kept.Go(func() { s.live.rehash.Run(ctx) })
	if s.live.replica != nil {
		kept.Go(func() { s.live.replica.follow(ctx, s.live) })
	}
	if s.live.path != "" {
		go s.follow(ctx)
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	s.drain()
	cancel()
	kept.Wait() // as long as the store is open
	return err
}

// follow reloads on SIGHUP and when the file changes.
func (s *server) follow(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	changed := make(chan struct{}, 1)
	err := config.Watch(ctx, s.live.files, func() {
		select {
		case changed <- struct{}{}:
		default: // one is waiting, and will read what is there by then
		}
	})
	if err != nil {
		s.live.log.Error("the configuration is not watched; SIGHUP still reloads it", "error", err)
	}
	if contentOf(s.live.path) != s.loaded {
		s.live.load() // it changed before it was watched
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		case <-changed:
		}
		s.live.load()
	}
}

// drain lets what is under way end, and tells load balancers first.
func (s *server) drain() {
	s.ready.draining.Store(true)
	s.live.log.Info("shutting down", "drain", drainTime.String())
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	for _, l := range s.listeners {
		if err := l.http.Shutdown(ctx); err != nil {
			s.live.log.Warn("requests were cut off", "listener", l.name, "error", err)
		}
	}
}

// close gives back what newServer opened.
func (s *server) close() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
	if s.live != nil && s.live.store != nil {
		_ = s.live.store.Close()
	}
	_ = s.logs.Close()
}
