package store

import (
	"context"
	"encoding/hex"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"
)

// revokedTimeout bounds one question about a token: a request waits for it, and goes on
// without an answer.
const revokedTimeout = 250 * time.Millisecond

// RevocationSource is what Revocations asks: a store.
type RevocationSource interface {
	Revoked(ctx context.Context, t TokenRef) (bool, error)
	// AllRevoked lists all that is revoked, as Revocation.ID writes it; false when that is
	// more than most.
	AllRevoked(ctx context.Context, most int) (ids []string, all bool, err error)
}

// RevocationOptions says whom to ask and how long an answer may be remembered. A zero
// bound or time is its default.
type RevocationOptions struct {
	Source RevocationSource

	Entries int           // answers that are remembered at most, default 100,000
	Known   int           // revocations that are remembered at most, default 10,000
	TTL     time.Duration // how long an answer or a list of all is good, ±10 %, default 30s
	Alone   time.Duration // the same while changes are not followed, default 2s
	// Followed tells whether Apply hears of every revocation now. It is asked for each
	// token, so it must be cheap. Nil for never.
	Followed func() bool

	Now func() time.Time // time.Now by default
	// Count hears of every question: "hit", "miss", or "error" when the store could not be
	// asked. Nil for none.
	Count func(result string)
	// Failed hears why all that is revoked cannot be listed, once until it can. Nil for none.
	Failed func(error)
}

func (o RevocationOptions) withDefaults() RevocationOptions {
	orDefault(&o.Entries, 100_000)
	orDefault(&o.Known, 10_000)
	orDefault(&o.TTL, 30*time.Second)
	orDefault(&o.Alone, 2*time.Second)
	if o.Followed == nil {
		o.Followed = func() bool { return false }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Count == nil {
		o.Count = func(string) {}
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	return o
}

// Revocations stands before a store's revocation list, in this process alone. As long as
// there are few revocations, it knows them all (see Run) and asks nobody; else it knows those
// that were announced, and remembers for a while what the store said of a token. While the
// store cannot be asked, tokens go on, but those that it knows to be revoked.
type Revocations struct {
	options RevocationOptions
	epoch   time.Time // what the times of answers count from
	known   *knownRevocations
	answers *otter.Cache[digest, answer]
	flights singleflight.Group
	// generation counts how often everything was forgotten. An answer is good only in the
	// generation in which it was asked for: it may be older than what was missed.
	generation atomic.Uint64

	mu       sync.Mutex    // orders what changes known, generation and complete
	complete atomic.Bool   // known has all that is revoked, as long as changes are followed
	missed   chan struct{} // holds one when the list of all should be read again
}

// answer is what the store said of one token.
type answer struct {
	fresh      time.Duration // good until then
	alone      time.Duration // good until then while changes are not followed
	generation uint64
	applied    uint64 // how many announced revocations it was held against
	revoked    bool
}

// NewRevocations knows and remembers nothing yet. It starts nothing that would have to be
// stopped.
func NewRevocations(o RevocationOptions) *Revocations {
	o = o.withDefaults()
	return &Revocations{
		options: o, epoch: o.Now(), known: newKnownRevocations(o.Known),
		answers: otter.Must(&otter.Options[digest, answer]{MaximumSize: o.Entries}),
		missed:  make(chan struct{}, 1),
	}
}

// Revoked tells whether a token was revoked. Its error, which is rare, means that what the
// store holds cannot be read; a store that cannot be asked is no error.
func (r *Revocations) Revoked(ctx context.Context, t TokenRef) (bool, error) {
	if t.hashed == nil {
		t = t.Hashed()
	}
	if r.complete.Load() && r.options.Followed() {
		r.options.Count("hit")
		return r.known.end(t), nil
	}
	a, ok := r.answers.GetIfPresent(t.hashed.whole)
	if ok && a.applied == r.known.applied.Load() && r.good(a) {
		r.options.Count("hit")
		return a.revoked, nil
	}
	return r.judge(ctx, t, a)
}

func (r *Revocations) good(a answer) bool {
	until := a.fresh
	if !r.options.Followed() {
		until = a.alone
	}
	return a.generation == r.generation.Load() && r.options.Now().Sub(r.epoch) < until
}

// judge holds a token against what was announced, then against what the store says. The
// last answer (zero for none) stands in when it is good, or when it was yes and the store
// is silent: a revocation does not end before its tokens do.
func (r *Revocations) judge(ctx context.Context, t TokenRef, last answer) (bool, error) {
	applied := r.known.applied.Load()
	switch {
	case r.known.end(t):
		r.options.Count("hit")
		return true, nil
	case last != (answer{}) && r.good(last):
		r.options.Count("hit")
		last.applied = applied
		r.answers.Set(t.hashed.whole, last)
		return last.revoked, nil
	}
	is, err := r.ask(ctx, t, applied)
	switch {
	case errors.Is(err, ErrCorrupt):
		r.options.Count("error")
		return false, err
	case err != nil:
		r.options.Count("error")
		return last.revoked || r.known.end(t), nil
	}
	r.options.Count("miss")
	return is || r.known.end(t), nil // one may have been announced meanwhile
}

// ask asks the store, once for all who ask about one token at a time. The token was held
// against so many announced revocations.
func (r *Revocations) ask(ctx context.Context, t TokenRef, applied uint64) (bool, error) {
	generation := r.generation.Load()
	flight := hex.EncodeToString(t.hashed.whole[:]) + " " + strconv.FormatUint(generation, 10)
	result := r.flights.DoChan(flight, func() (any, error) {
		is, err := r.fetch(context.WithoutCancel(ctx), t)
		if err == nil {
			r.remember(t, answer{revoked: is, generation: generation, applied: applied})
		}
		return is, err
	})
	select {
	case got := <-result:
		return got.Val.(bool), got.Err
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

func (r *Revocations) fetch(ctx context.Context, t TokenRef) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, revokedTimeout)
	defer cancel()
	return r.options.Source.Revoked(ctx, t)
}

func (r *Revocations) remember(t TokenRef, a answer) {
	now := r.options.Now().Sub(r.epoch)
	a.fresh, a.alone = now+jitter(r.options.TTL), now+jitter(r.options.Alone)
	r.answers.Set(t.hashed.whole, a)
}

// Apply hears of a revocation by the id that Revocation.ID gave it: from then on its tokens
// are refused, without asking. An id that it cannot read makes it ask about every token
// again.
func (r *Revocations) Apply(id string) {
	m, err := parseMark(id)
	if err != nil {
		r.ForgetAll()
		return
	}
	r.mu.Lock()
	pushedOut := r.known.add(m, r.options.Now())
	if !pushedOut.IsZero() {
		r.complete.Store(false)
	}
	r.mu.Unlock()
	// What was pushed out is the store's to say, in whose answers it may not be yet.
	if pushedOut.After(r.options.Now().Add(-2 * r.options.TTL)) {
		r.ForgetAll()
	}
}

// ForgetAll asks about every token again: when announcements may have been missed. What is
// known to be revoked stays so.
func (r *Revocations) ForgetAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.generation.Add(1)
	r.complete.Store(false)
	select {
	case r.missed <- struct{}{}:
	default: // one is waiting
	}
}
