package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stile-gate/stile/cmd/stile/config"
)

// live is the program in force. A request takes the pointer once and keeps it, so that it
// sees one configuration from beginning to end.
type live struct {
	parts
	path    string
	current atomic.Pointer[program]
	reload  sync.Mutex
	changed chan struct{} // holds one when current is another than warm has seen
}

// handler serves each request by the face of the program in force.
func (l *live) handler(face func(*program) http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		face(l.current.Load()).ServeHTTP(w, r)
	})
}

// load reads the file again and puts it in force as a whole, or keeps what is. Why stands
// in the log, and a metric counts.
func (l *live) load() {
	l.reload.Lock()
	defer l.reload.Unlock()
	old := l.current.Load()
	next, err := l.read(old)
	if err != nil {
		l.metrics.reloads.WithLabelValues("failed").Inc()
		l.log.Error("configuration not reloaded; the old one stays in force", "file", l.path, "error", err.Error())
		return
	}
	l.metrics.reloads.WithLabelValues("ok").Inc() // first, so that who sees the new one in force finds it counted
	l.force(next)
	l.log.Info("configuration reloaded", "file", l.path, "routes", len(next.config.Routes))
}

// force puts a program in force, with the log level that it asks for.
func (l *live) force(next *program) {
	l.current.Store(next)
	if l.replica != nil {
		l.replica.tell(next)
	}
	_ = l.level.UnmarshalText([]byte(next.config.Log.Level)) // the loader has checked it
	select {
	case l.changed <- struct{}{}:
	default: // one is waiting
	}
}

func (l *live) read(old *program) (*program, error) {
	c, problems := loadConfig(l.path)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	if changed := config.RestartNeeded(old.config, c); len(changed) > 0 {
		return nil, fmt.Errorf("%v changed, which takes a restart", changed)
	}
	next, more := compile(c, l.parts, old)
	for _, p := range append(problems, more...) {
		if p.Warning {
			l.log.Warn("configuration", "problem", p.Error())
		}
	}
	if err := more.Err(); err != nil {
		return nil, err
	}
	return next, nil
}

// files are those that a change of calls for a reload.
func (l *live) files() []string { return append([]string{l.path}, l.current.Load().config.Files...) }

// warm loads the keys of issuers, and tries again until each has been loaded once; then it
// waits for another configuration. It runs once, however often that changes. Requests do
// not wait for it: what they need they load themselves.
func (l *live) warm(ctx context.Context) {
	const first = 100 * time.Millisecond
	for delay := first; ; delay = min(2*delay, 5*time.Second) {
		var again <-chan time.Time // never, when all are loaded
		if !l.warmOnce(ctx) {
			again = time.After(delay)
		}
		select {
		case <-ctx.Done():
			return
		case <-l.changed:
			delay = first
		case <-again:
		}
	}
}

func (l *live) warmOnce(ctx context.Context) (all bool) {
	all = true
	for name, tokens := range l.current.Load().tokens {
		if err := tokens.Warm(ctx); err != nil {
			all = false
			l.log.Warn("keys of an issuer are not loaded", "authenticator", name, "error", err)
		}
	}
	return all
}

// unused hears why the last uses of keys could not be written.
func (l *live) unused(err error) { l.log.Warn("last uses of keys are not written", "error", err) }

// rehashed counts a key that was to be moved to the hash with keys.pepper.
func (p parts) rehashed(result string, err error) {
	p.metrics.rehashed.WithLabelValues(result).Inc()
	if err != nil {
		p.log.Warn("a key is not moved to keys.pepper; its next use tries again", "error", err)
	}
}
