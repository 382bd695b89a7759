package store_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// run has the layer read lists until the test ends.
func (r *revocationRig) run() {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	r.t.Cleanup(func() { cancel(); <-done })
}

// asks tells whether a token that it has never seen makes the layer ask the store.
func (r *revocationRig) asks() bool {
	r.t.Helper()
	before := r.asked.Load()
	r.is("a new token", storetest.Token(fmt.Sprintf("new-%d", r.fresh.Add(1)), "", ""), false)
	return r.asked.Load() > before
}

// until waits for the layer to ask, or not to.
func (r *revocationRig) until(asks bool) {
	r.t.Helper()
	storetest.Eventually(r.t, fmt.Sprintf("asks is %v", asks), func() bool { return r.asks() == asks })
}

// Who knows all that is revoked asks about no token.
func TestRevocationsAreAllKnown(t *testing.T) {
	r := newRevocationRig(t, nil)
	r.revoke(store.Revocation{JTI: "t1"}) // before there was anybody to hear of it
	r.run()
	r.until(false)
	asked := r.asked.Load()
	r.is("listed", storetest.Token("t1", "", ""), true)
	r.Apply(r.revoke(store.Revocation{Session: "s2"}))
	r.is("announced", storetest.Token("t2", "", "s2"), true)
	r.is("neither", storetest.Token("t2", "", "s3"), false)
	r.wantAsked("all of it", asked)

	r.followed.Store(false)
	if !r.asks() {
		t.Error("while changes are not followed there may be others")
	}
	r.followed.Store(true)

	r.down.Store(true)
	r.ForgetAll()
	r.until(true)
	r.is("the store is down", storetest.Token("t1", "", ""), true)
	r.revoke(store.Revocation{JTI: "t3"}) // which was missed
	r.down.Store(false)
	storetest.Eventually(t, "what was missed is known", func() bool {
		is, err := r.Revocations.Revoked(t.Context(), storetest.Token("t3", "", ""))
		return is && err == nil
	})
}

// What is announced while a list is read is not lost by it, and a list from before
// everything was forgotten counts for nothing.
func TestRevocationsWhileListed(t *testing.T) {
	r := newRevocationRig(t, nil)
	r.afterList = func() {
		if r.listed.Load() == 1 {
			r.Apply(r.revoke(store.Revocation{JTI: "t1"}))
			r.revoke(store.Revocation{JTI: "t2"})
			r.ForgetAll() // t2 was missed
		}
	}
	r.run()
	r.until(false)
	r.is("announced", storetest.Token("t1", "", ""), true)
	r.is("missed", storetest.Token("t2", "", ""), true)
	if n := r.listed.Load(); n != 2 {
		t.Errorf("%d lists, want 2", n)
	}
}

// More than can be remembered is the store's to say.
func TestRevocationsAreTooMany(t *testing.T) {
	r := newRevocationRig(t, func(o *store.RevocationOptions) { o.Known = 2 })
	for i := range 2 {
		r.revoke(store.Revocation{JTI: fmt.Sprintf("t%d", i)})
	}
	r.run()
	r.until(false)
	r.Apply(r.revoke(store.Revocation{JTI: "t2"}))
	if !r.asks() {
		t.Error("one of three is not known, and nobody is asked")
	}
	for i := range 3 {
		r.is("revoked", storetest.Token(fmt.Sprintf("t%d", i), "", ""), true)
	}
}

// A store that lost what it held makes nobody forget: what is known stays, as long as there
// is room for it beside what the store still holds.
func TestRevocationsOutliveTheStore(t *testing.T) {
	r := newRevocationRig(t, func(o *store.RevocationOptions) { o.Known = 3 })
	r.revoke(store.Revocation{JTI: "t0"})
	r.run()
	r.until(false)
	r.Apply(r.revoke(store.Revocation{JTI: "t1"}))

	r.memory = store.NewMemory() // as a Redis without persistence that was restarted
	r.memory.Now = r.clock
	r.reread()
	for _, jti := range []string{"t0", "t1"} {
		r.is("lost by the store", storetest.Token(jti, "", ""), true)
	}

	for _, jti := range []string{"t2", "t3", "t4"} { // which leave no room for t0 and t1
		r.revoke(store.Revocation{JTI: jti})
	}
	r.reread()
	if r.asks() {
		t.Error("all that the store holds is known, and it is asked")
	}
	for _, jti := range []string{"t2", "t3", "t4"} {
		r.is("held by the store", storetest.Token(jti, "", ""), true)
	}
	r.is("there is no room", storetest.Token("t0", "", ""), false)
}

// reread has the layer read the list again, and waits until it has.
func (r *revocationRig) reread() {
	r.t.Helper()
	listed := r.listed.Load()
	r.ForgetAll()
	storetest.Eventually(r.t, "the list is read again", func() bool { return r.listed.Load() > listed })
	r.until(false)
}
