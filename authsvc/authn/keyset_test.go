package authn

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// fetched checks how many fetches there were since the last call.
func (f *fixture) fetched(t testing.TB, want int64) {
	t.Helper()
	f.jwt.keys.settle()
	if got := f.fetches.Swap(0); got != want {
		t.Errorf("%d fetches, want %d", got, want)
	}
}

func TestKeysAreFetchedOnce(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, nil, one)
	token := f.token(t, one, nil)
	f.crowd(func(int) { _, err := f.present(token); expect(t, err, "ok") })
	f.fetched(t, 1)
	f.Advance(4*time.Minute - time.Second)
	f.crowd(func(int) { _, err := f.present(token); expect(t, err, "ok") })
	f.fetched(t, 0)
}

// crowd runs many at once.
func (f *fixture) crowd(each func(i int)) {
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() { each(i) })
	}
	all.Wait()
}

func TestRefreshAhead(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, nil, one)
	token := f.token(t, one, nil)
	_, err := f.present(token)
	expect(t, err, "ok")
	f.fetched(t, 1)
	// At 80 % nobody waits: the issuer does not answer before everyone has been served.
	served := make(chan struct{})
	f.answer(func(w http.ResponseWriter, r *http.Request) {
		<-served
		f.answer(nil)
		f.handle(w, r)
	})
	f.Advance(4 * time.Minute)
	f.crowd(func(int) { _, err := f.present(token); expect(t, err, "ok") })
	close(served)
	f.fetched(t, 2) // the handler calls itself once more
	f.Advance(4*time.Minute - time.Second)
	_, err = f.present(token)
	expect(t, err, "ok")
	f.fetched(t, 0)
}

func TestRotation(t *testing.T) {
	one, two := rsaOne(), rsaTwo()
	f := newFixture(t, nil, one)
	old := f.token(t, one, nil)
	_, err := f.present(old)
	expect(t, err, "ok")
	f.Advance(20 * time.Second)

	// A new kid is fetched for at once, and the old key goes with the same fetch.
	f.publish(two)
	_, err = f.present(f.token(t, two, nil))
	expect(t, err, "ok")
	f.fetched(t, 2)
	_, err = f.present(old) // verified before, but by a key that is gone
	expect(t, err, "bad_credential")
	f.fetched(t, 0)
}

// TestRemovedKey: jwkset CVE-2025-22149. Nothing tells us that a key is gone but its TTL.
func TestRemovedKey(t *testing.T) {
	one, two := rsaOne(), rsaTwo()
	f := newFixture(t, nil, one, two)
	cached, fresh := f.token(t, two, nil), f.token(t, two, map[string]any{"sub": "bob"})
	_, err := f.present(cached)
	expect(t, err, "ok")
	f.publish(one)
	f.Advance(5*time.Minute + time.Hour) // idle for long: the next request waits for the fetch
	for _, token := range []string{
		f.token(t, two, map[string]any{"exp": f.Now().Unix() + 60}), cached, fresh,
	} {
		_, err = f.present(token)
		expect(t, err, "bad_credential")
	}
	_, err = f.present(f.token(t, one, nil))
	expect(t, err, "ok")
	f.fetched(t, 2)
}

// TestSameKidOtherKey: an issuer that replaces a key under its kid.
func TestSameKidOtherKey(t *testing.T) {
	one, two := rsaOne(), rsaTwo()
	two.kid = "one"
	f := newFixture(t, nil, one)
	token := f.token(t, one, nil)
	_, err := f.present(token)
	expect(t, err, "ok")
	f.publish(two)
	f.Advance(5 * time.Minute)
	_, err = f.present(token)
	expect(t, err, "bad_credential")
	_, err = f.present(f.token(t, two, nil))
	expect(t, err, "ok")
}

// TestShuffledKeys: the order of a set is not its content, and costs no proof.
func TestShuffledKeys(t *testing.T) {
	one, two := rsaOne(), rsaTwo()
	f := newFixture(t, nil, one, two)
	token := f.token(t, one, nil)
	first, err := f.present(token)
	expect(t, err, "ok")
	f.publish(two, one)
	f.Advance(5 * time.Minute)
	second, err := f.present(token)
	expect(t, err, "ok")
	if first != second {
		t.Error("the token was verified again")
	}
}

func TestFloodOfUnknownKids(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, nil, one)
	good := f.token(t, one, nil)
	_, err := f.present(good)
	expect(t, err, "ok")
	f.fetched(t, 1)
	round := 0
	flood := func() {
		round++
		f.crowd(func(i int) {
			for j := range 5 {
				header := fmt.Sprintf(`{"alg":"RS256","kid":"%d-%d-%d"}`, round, i, j)
				_, err := f.present(encode(header) + "." + encode(f.raw(nil)) + ".AAAA")
				expect(t, err, "bad_credential")
			}
		})
	}
	flood()
	f.fetched(t, 0) // within the interval
	for range 3 {
		f.Advance(10 * time.Second)
		flood()
		f.fetched(t, 1)
	}
	if n := len(f.jwt.keys.unknown); n > maxUnknown {
		t.Errorf("%d unknown kids are kept", n)
	}
}

// TestUnknownKidIsRemembered: one client with an old key asks once a minute, not always,
// and a kid that was asked for too early is known a minute later.
func TestUnknownKidIsRemembered(t *testing.T) {
	one, two := rsaOne(), rsaTwo()
	f := newFixture(t, nil, one)
	_, err := f.present(f.token(t, one, nil))
	expect(t, err, "ok")
	f.Advance(10 * time.Second)
	token := f.token(t, two, nil)
	_, err = f.present(token)
	expect(t, err, "bad_credential")
	f.fetched(t, 2)
	f.publish(one, two)
	for range 5 {
		f.Advance(10 * time.Second)
		_, err = f.present(token)
		expect(t, err, "bad_credential")
	}
	f.fetched(t, 0)
	f.Advance(10 * time.Second)
	_, err = f.present(token)
	expect(t, err, "ok")
	f.fetched(t, 1)
}

// TestJustRotated: a kid that comes within the interval of a fetch is not held against
// its key afterwards.
func TestJustRotated(t *testing.T) {
	one, two := rsaOne(), rsaTwo()
	f := newFixture(t, nil, one)
	_, err := f.present(f.token(t, one, nil))
	expect(t, err, "ok")
	f.publish(one, two)
	f.Advance(3 * time.Second)
	_, err = f.present(f.token(t, two, nil))
	expect(t, err, "bad_credential")
	f.Advance(7 * time.Second)
	_, err = f.present(f.token(t, two, nil))
	expect(t, err, "ok")
}

func TestManyUnknownKids(t *testing.T) {
	s := newKeySet(nil, keyTimes{}, newClock().Now)
	for i := range 10 * maxUnknown {
		s.markUnknown(fmt.Sprint(i), s.now())
	}
	if len(s.unknown) > maxUnknown || !s.isUnknown(fmt.Sprint(10*maxUnknown-1)) {
		t.Errorf("%d unknown kids are kept", len(s.unknown))
	}
}

func TestFloodOfBadSignatures(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, nil, one)
	good := f.token(t, one, nil)
	_, err := f.present(good)
	expect(t, err, "ok")
	f.fetched(t, 1)
	for range 3 {
		f.Advance(10 * time.Second)
		f.crowd(func(i int) {
			_, err := f.present(good[:len(good)-6] + fmt.Sprintf("%03dAAA", i))
			expect(t, err, "bad_credential")
			_, err = f.present(encode(`{"alg":"RS256"}`) + "." + encode(f.raw(nil)) + ".AAAA") // no kid
			expect(t, err, "bad_credential")
			_, err = f.present(encode(`{"alg":"ES256","kid":"one"}`) + "." + encode(f.raw(nil)) + ".AAAA")
			expect(t, err, "bad_credential")
		})
		f.fetched(t, 0)
	}
}

func TestIssuerDownAtStart(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, nil, one)
	f.answer(down)
	token := f.token(t, one, nil)
	if state := f.jwt.State(); state.Status != KeysMissing || state.Err != nil || !state.Tried.IsZero() {
		t.Errorf("state is %+v", state)
	}
	expect(t, f.jwt.Warm(t.Context()), "unavailable")
	f.crowd(func(int) { _, err := f.present(token); expect(t, err, "unavailable") })
	f.fetched(t, 1)
	if state := f.jwt.State(); state.Status != KeysMissing || state.Err == nil || state.Tried != f.Now() {
		t.Errorf("state is %+v", state)
	}
	f.answer(nil)
	_, err := f.present(token)
	expect(t, err, "unavailable") // the interval holds
	f.Advance(10 * time.Second)
	expect(t, f.jwt.Warm(t.Context()), "ok")
	f.fetched(t, 1)
	_, err = f.present(token)
	expect(t, err, "ok")
	if state := f.jwt.State(); state.Status != KeysLoaded || state.Keys != 1 || state.Err != nil || state.Loaded != f.Now() {
		t.Errorf("state is %+v", state)
	}
}

func TestStaleKeys(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, nil, one)
	token := f.token(t, one, map[string]any{"exp": f.Now().Unix() + 7200})
	other := f.token(t, one, map[string]any{"exp": f.Now().Unix() + 7200, "sub": "bob"})
	_, err := f.present(token)
	expect(t, err, "ok")
	f.fetched(t, 1)

	f.answer(down)
	f.Advance(5 * time.Minute)
	_, err = f.present(token) // waits, and fails
	expect(t, err, "ok")
	f.fetched(t, 1)
	if state := f.jwt.State(); state.Status != KeysStale || state.Err == nil {
		t.Errorf("state is %+v", state)
	}
	// An unknown kid cannot be judged now.
	_, err = f.present(f.token(t, rsaTwo(), nil))
	expect(t, err, "unavailable")
	for range 10 { // fetches go on at the interval, without anybody waiting
		f.Advance(10 * time.Second)
		f.crowd(func(int) { _, err := f.present(token); expect(t, err, "ok") })
		f.fetched(t, 1)
	}
	f.Advance(time.Hour - 100*time.Second - time.Second)
	_, err = f.present(other)
	expect(t, err, "ok")
	f.Advance(time.Second) // the TTL and MaxStale
	for _, text := range []string{token, other} {
		_, err = f.present(text)
		expect(t, err, "unavailable")
	}
	if state := f.jwt.State(); state.Status != KeysStale || state.Usable() {
		t.Errorf("state is %+v", state)
	}
	f.answer(nil)
	f.Advance(10 * time.Second)
	_, err = f.present(token)
	expect(t, err, "ok")
	if state := f.jwt.State(); state.Status != KeysLoaded || !state.Usable() {
		t.Errorf("state is %+v", state)
	}
}

// TestHangingIssuer: with keys that are stale, nobody waits for an issuer that hangs.
func TestHangingIssuer(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, nil, one)
	token := f.token(t, one, nil)
	_, err := f.present(token)
	expect(t, err, "ok")
	f.jwt.keys.times.timeout = 50 * time.Millisecond
	f.answer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	f.Advance(4 * time.Minute)
	_, err = f.present(token)
	expect(t, err, "ok")
	f.jwt.keys.settle() // the fetch ran into its timeout
	f.Advance(2 * time.Minute)
	release := make(chan struct{})
	f.jwt.keys.source = sourceFunc(func() ([]byte, error) { <-release; return nil, http.ErrHandlerTimeout })
	f.crowd(func(int) { _, err := f.present(token); expect(t, err, "ok") })
	close(release)
}

type sourceFunc func() ([]byte, error)

func (f sourceFunc) fetch(context.Context) ([]byte, error) { return f() }

// TestImpatientRequest: a request that is given up gives up no fetch for the others.
func TestImpatientRequest(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, nil, one)
	asked, release := make(chan struct{}), make(chan struct{})
	f.answer(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-release
		f.answer(nil)
		f.handle(w, r)
	})
	impatient, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	_, err := f.jwt.Authenticate(impatient, bearer(f.token(t, one, nil)))
	expect(t, err, "unavailable")
	close(release)
	_, err = f.present(f.token(t, one, nil))
	expect(t, err, "ok")
	f.fetched(t, 2) // the handler calls itself once more
}

// TestNoStaleKeys: an operator may prefer no decision to one by keys that are past their
// TTL.
func TestNoStaleKeys(t *testing.T) {
	one := rsaOne()
	f := newFixture(t, func(o *JWTOptions) { o.MaxStale = -1 }, one)
	token := f.token(t, one, nil)
	_, err := f.present(token)
	expect(t, err, "ok")
	f.answer(down)
	f.Advance(5*time.Minute - 1)
	_, err = f.present(token)
	expect(t, err, "ok")
	f.jwt.keys.settle()
	f.Advance(1)
	_, err = f.present(token)
	expect(t, err, "unavailable")
	if state := f.jwt.State(); state.Usable() || state.String() != "stale" {
		t.Errorf("state is %+v", state)
	}
}
