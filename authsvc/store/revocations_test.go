package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// revocationRig is the local layer before a store that counts, and can be stopped or held.
type revocationRig struct {
	*store.Revocations
	t      *testing.T
	memory *store.Memory

	now      atomic.Int64 // after Clock
	followed atomic.Bool
	asked    atomic.Int64
	listed   atomic.Int64 // lists that were read
	fresh    atomic.Int64 // new tokens that were asked about
	down     atomic.Bool
	hold     chan struct{} // nil, or closed to let questions go on

	afterList func() // called when the store has answered with a list

	mu     sync.Mutex
	counts map[string]int
}

var errUnreachable = errors.New("the store is down")

func newRevocationRig(t *testing.T, change func(*store.RevocationOptions)) *revocationRig {
	r := &revocationRig{t: t, memory: store.NewMemory(), counts: map[string]int{}}
	r.memory.Now = r.clock
	r.followed.Store(true)
	o := store.RevocationOptions{Source: r, Now: r.clock, Followed: r.followed.Load, Count: func(result string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.counts[result]++
	}}
	if change != nil {
		change(&o)
	}
	r.Revocations = store.NewRevocations(o)
	return r
}

func (r *revocationRig) clock() time.Time        { return storetest.Clock().Add(time.Duration(r.now.Load())) }
func (r *revocationRig) advance(d time.Duration) { r.now.Add(int64(d)) }

// Revoked is the store's; that of the layer is asked through is.
func (r *revocationRig) Revoked(ctx context.Context, t store.TokenRef) (bool, error) {
	r.asked.Add(1)
	if r.hold != nil {
		select {
		case <-r.hold:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	if r.down.Load() {
		return false, errUnreachable
	}
	return r.memory.Revoked(ctx, t)
}

// AllRevoked is the store's.
func (r *revocationRig) AllRevoked(ctx context.Context, most int) ([]string, bool, error) {
	r.listed.Add(1)
	if r.down.Load() {
		return nil, false, errUnreachable
	}
	ids, all, err := r.memory.AllRevoked(ctx, most)
	if r.afterList != nil {
		r.afterList()
	}
	return ids, all, err
}

func (r *revocationRig) is(what string, token store.TokenRef, want bool) {
	r.t.Helper()
	got, err := r.Revocations.Revoked(r.t.Context(), token)
	if got != want || err != nil {
		r.t.Errorf("%s: %v, %v, want %v", what, got, err, want)
	}
}

func (r *revocationRig) revoke(rev store.Revocation) (id string) {
	r.t.Helper()
	rev.Issuer, rev.Until = storetest.Token("", "", "").Issuer, r.clock().Add(24*time.Hour)
	if err := r.memory.Revoke(r.t.Context(), rev); err != nil {
		r.t.Fatal(err)
	}
	return rev.ID()
}

func (r *revocationRig) wantAsked(what string, n int64) {
	r.t.Helper()
	if got := r.asked.Load(); got != n {
		r.t.Errorf("%s: the store was asked %d times, want %d", what, got, n)
	}
}

func TestRevocationsAreRemembered(t *testing.T) {
	r := newRevocationRig(t, nil)
	token := storetest.Token("t1", "alice", "s1")
	for range 5 {
		r.is("not revoked", token, false)
	}
	r.wantAsked("one token", 1)
	r.is("another", storetest.Token("t2", "alice", "s1"), false)
	r.wantAsked("two tokens", 2)

	r.revoke(store.Revocation{JTI: "t1"}) // which nobody announces
	r.advance(26 * time.Second)
	r.is("before the TTL", token, false)
	r.wantAsked("before the TTL", 2)
	r.advance(8 * time.Second)
	r.is("after the TTL", token, true)
	r.is("after the TTL", token, true)
	r.wantAsked("after the TTL", 3)
	if r.counts["miss"] != 3 || r.counts["hit"] != 6 || r.counts["error"] != 0 {
		t.Errorf("counted %v", r.counts)
	}
}

// While changes are not followed, an answer is good for two seconds, also one from before.
func TestRevocationsWhileNotFollowed(t *testing.T) {
	r := newRevocationRig(t, nil)
	token := storetest.Token("t1", "alice", "s1")
	r.is("first", token, false)
	r.revoke(store.Revocation{Session: "s1"})
	r.followed.Store(false)
	r.is("at once", token, false)
	r.wantAsked("at once", 1)
	r.advance(3 * time.Second)
	r.is("after 3 s", token, true)
	r.wantAsked("after 3 s", 2)
}

func TestRevocationsAreApplied(t *testing.T) {
	r := newRevocationRig(t, nil)
	early, late := storetest.Token("t1", "alice", "s1"), storetest.Token("t2", "alice", "s2")
	late.IssuedAt = r.clock()
	r.is("before", early, false)
	r.is("before", late, false)
	r.Apply(r.revoke(store.Revocation{Subject: "alice", IssuedBefore: early.IssuedAt}))
	r.is("issued before", early, true)
	r.is("issued after", late, false)
	r.is("issued after", late, false)
	r.Apply(r.revoke(store.Revocation{JTI: "t2"}))
	r.is("by its id", late, true)
	r.Apply(r.revoke(store.Revocation{Session: "s3"}))
	r.is("never seen before", storetest.Token("", "bob", "s3"), true)
	r.wantAsked("all of it", 2)
}

// An answer that was under way when a revocation was announced does not hide it.
func TestRevocationAppliedWhileAsked(t *testing.T) {
	r := newRevocationRig(t, nil)
	r.hold = make(chan struct{})
	token := storetest.Token("t1", "alice", "s1")
	answers := make(chan bool)
	go func() {
		is, _ := r.Revocations.Revoked(context.Background(), token)
		answers <- is
	}()
	storetest.Eventually(t, "the store is asked", func() bool { return r.asked.Load() == 1 })
	rev := store.Revocation{Issuer: token.Issuer, JTI: "t1", Until: r.clock().Add(time.Hour)} // not in the store: its answer is older
	r.Apply(rev.ID())
	close(r.hold)
	if !<-answers {
		t.Error("the older answer was given")
	}
	r.is("from then on", token, true)
}

// What follows a gap in the changes asks again, and does not join a question from before.
func TestRevocationsForget(t *testing.T) {
	for what, forget := range map[string]func(*revocationRig){
		"forget all":             func(r *revocationRig) { r.ForgetAll() },
		"an id that is not ours": func(r *revocationRig) { r.Apply("sub:abc") },
	} {
		r := newRevocationRig(t, nil)
		r.hold = make(chan struct{})
		token := storetest.Token("t1", "alice", "s1")
		answers := make(chan bool)
		ask := func() {
			is, _ := r.Revocations.Revoked(context.Background(), token)
			answers <- is
		}
		go ask()
		storetest.Eventually(t, "the store is asked", func() bool { return r.asked.Load() == 1 })
		forget(r)
		go ask()
		storetest.Eventually(t, "the store is asked anew", func() bool { return r.asked.Load() == 2 })
		close(r.hold)
		<-answers
		<-answers
		r.is(what, token, false)
		known := r.asked.Load()
		forget(r)
		r.is(what, token, false)
		r.wantAsked(what, known+1)
	}
}

// Tokens go on when the store cannot be asked, but those that are known to be revoked.
func TestRevocationsWithoutTheStore(t *testing.T) {
	r := newRevocationRig(t, nil)
	byStore, byChange, good := storetest.Token("t1", "alice", ""), storetest.Token("t2", "alice", ""), storetest.Token("t3", "alice", "")
	r.revoke(store.Revocation{JTI: "t1"})
	r.is("by the store", byStore, true)
	r.Apply(r.revoke(store.Revocation{JTI: "t2"}))
	r.down.Store(true)
	r.advance(time.Minute)
	for range 10 {
		r.is("the store said so", byStore, true)
		r.is("it was announced", byChange, true)
		r.is("nothing is known", good, false)
	}
	if r.counts["error"] != 20 {
		t.Errorf("counted %v", r.counts)
	}
	r.down.Store(false)
	r.revoke(store.Revocation{JTI: "t3"})
	r.advance(2 * time.Second)
	r.is("it answers again", good, true)
}

// A value that cannot be read is no outage: it is an error.
func TestRevocationsCorrupt(t *testing.T) {
	l := store.NewRevocations(store.RevocationOptions{Source: corruptSource{}})
	if _, err := l.Revoked(t.Context(), storetest.Token("t1", "", "")); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

type corruptSource struct{ store.RevocationSource }

func (corruptSource) Revoked(context.Context, store.TokenRef) (bool, error) {
	return false, fmt.Errorf("x: %w", store.ErrCorrupt)
}

// A store that takes questions and answers none holds nobody for long, and many who ask
// about one token ask once.
func TestRevocationsBounded(t *testing.T) {
	r := newRevocationRig(t, nil)
	r.hold = make(chan struct{})
	defer close(r.hold)
	start := time.Now()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if is, err := r.Revocations.Revoked(context.Background(), storetest.Token("t1", "alice", "")); is || err != nil {
				t.Errorf("%v, %v", is, err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	r.wantAsked("at once", 1)
}

// Where more is announced than there is room for, what is pushed out is asked about.
func TestRevocationsOverflow(t *testing.T) {
	r := newRevocationRig(t, func(o *store.RevocationOptions) { o.Known = 2 })
	token := storetest.Token("t0", "alice", "")
	r.is("before", token, false)
	for i := range 3 {
		r.Apply(r.revoke(store.Revocation{JTI: fmt.Sprintf("t%d", i)}))
	}
	r.wantAsked("announced", 1)
	r.is("pushed out", token, true)
	r.wantAsked("pushed out", 2)
	r.is("the latest", storetest.Token("t2", "alice", ""), true)
	r.wantAsked("the latest", 2)
}

func TestRevocationIDs(t *testing.T) {
	rev := store.Revocation{Issuer: "https://id.example.com", Subject: "alice", IssuedBefore: time.UnixMilli(1700000000123)}
	id := rev.ID()
	if !strings.HasPrefix(id, "sub:") || !strings.HasSuffix(id, ":1700000000123") || strings.Contains(id, "alice") {
		t.Errorf("id %q", id)
	}
	hash := strings.Split(id, ":")[1]
	r := newRevocationRig(t, nil)
	token := storetest.Token("t1", "bob", "")
	for _, id := range []string{"", "jti", "jti:" + hash, "jti:" + hash + ":1", "sub:" + hash, "sub:" + hash + ":x", "sub:" + hash[1:] + ":1", "sub:" + hash + "0:1", "xyz:" + hash, "jti:" + strings.Repeat("zz", 32)} {
		before := r.asked.Load()
		r.Apply(id)
		r.is(id, token, false)
		asked := r.asked.Load() - before
		if readable := id == "jti:"+hash; readable != (asked == 0) && before > 0 {
			t.Errorf("after %q, the store was asked %d times", id, asked)
		}
	}
}
