package storetest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
)

// RevocationStore is a store as far as the revocation of tokens goes.
type RevocationStore interface {
	Revoke(context.Context, store.Revocation) error
	store.RevocationSource
}

const issuer = "https://id.example.com"

// RunRevocations tests the stores that open makes. Each must be empty and go by Clock.
func RunRevocations(t *testing.T, open func(testing.TB) RevocationStore) {
	for name, test := range map[string]func(*testing.T, RevocationStore){
		"names": testRevokedNames, "subject": testRevokedSubject, "invalid": testRevocationInvalid, "until": testRevokedUntil,
		"all": testAllRevoked,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// Token is a token that was issued an hour before Clock.
func Token(jti, subject, session string) store.TokenRef {
	return store.TokenRef{Issuer: issuer, JTI: jti, Subject: subject, Session: session, IssuedAt: Clock().Add(-time.Hour)}
}

// revocation fills in the issuer, and a day.
func revocation(r store.Revocation) store.Revocation {
	r.Issuer, r.Until = issuer, Clock().Add(24*time.Hour)
	return r
}

func mustRevoke(t *testing.T, s RevocationStore, r store.Revocation) {
	t.Helper()
	if err := s.Revoke(t.Context(), revocation(r)); err != nil {
		t.Fatalf("Revoke(%+v): %v", r, err)
	}
}

func wantRevoked(t *testing.T, s store.RevocationSource, what string, token store.TokenRef, want bool) {
	t.Helper()
	got, err := s.Revoked(t.Context(), token)
	if err != nil || got != want {
		t.Errorf("%s: revoked is %v (%v), want %v", what, got, err, want)
	}
}

func testRevokedNames(t *testing.T, s RevocationStore) {
	all := Token("t1", "alice", "s1")
	wantRevoked(t, s, "before", all, false)
	mustRevoke(t, s, store.Revocation{JTI: "t1"})
	mustRevoke(t, s, store.Revocation{JTI: "t1"}) // again changes nothing
	mustRevoke(t, s, store.Revocation{Session: "s2"})
	elsewhere := all
	elsewhere.Issuer = "https://other.example.com"
	for what, tt := range map[string]struct {
		token store.TokenRef
		want  bool
	}{
		"by jti":                {all, true},
		"by jti, hashed before": {all.Hashed(), true},
		"of another issuer":     {elsewhere, false},
		"jti alone":             {Token("t1", "", ""), true},
		"another jti":           {Token("t2", "alice", "s1"), false},
		"no jti":                {Token("", "alice", "s1"), false},
		"subject of that name":  {Token("", "t1", "t1"), false},
		"by session":            {Token("t2", "alice", "s2"), true},
		"subject like session":  {Token("", "s2", ""), false},
		"nothing to name it by": {Token("", "", ""), false},
		"lengths are told apart": {store.TokenRef{
			Issuer: issuer + "t", JTI: "1",
		}, false},
	} {
		wantRevoked(t, s, what, tt.token, tt.want)
	}
}

func testRevokedSubject(t *testing.T, s RevocationStore) {
	at := Clock()
	issued := func(d time.Duration) store.TokenRef {
		token := Token("t1", "alice", "s1")
		token.IssuedAt = at.Add(d)
		return token
	}
	undated := Token("t1", "alice", "s1")
	undated.IssuedAt = time.Time{}
	wantRevoked(t, s, "undated, before", undated, false)
	mustRevoke(t, s, store.Revocation{Subject: "alice", IssuedBefore: at})
	wantRevoked(t, s, "before", issued(-time.Hour), true)
	wantRevoked(t, s, "at that time", issued(0), true)
	wantRevoked(t, s, "a part of a millisecond after", issued(999*time.Microsecond), true)
	wantRevoked(t, s, "after", issued(time.Millisecond), false)
	wantRevoked(t, s, "undated", undated, true)
	wantRevoked(t, s, "another subject", Token("t1", "bob", "s1"), false)

	mustRevoke(t, s, store.Revocation{Subject: "alice", IssuedBefore: at.Add(-time.Hour)})
	wantRevoked(t, s, "an earlier one sets nothing back", issued(0), true)
	mustRevoke(t, s, store.Revocation{Subject: "alice", IssuedBefore: at.Add(time.Minute)})
	wantRevoked(t, s, "a later one moves it forward", issued(time.Minute), true)
	wantRevoked(t, s, "after the later one", issued(time.Minute+time.Second), false)
}

func testRevocationInvalid(t *testing.T, s RevocationStore) {
	for problem, r := range map[string]store.Revocation{
		"exactly one":            {},
		"exactly one of jti":     {JTI: "a", Session: "b"},
		"goes with subject":      {Subject: "alice"},
		"and only with it":       {JTI: "a", IssuedBefore: Clock()},
		"jti: longer than":       {JTI: strings.Repeat("x", store.MaxTokenClaim+1)},
		"session: not valid UTF": {Session: "\xff"},
	} {
		mustBeInvalid(t, s.Revoke(t.Context(), revocation(r)), problem)
	}
	r := revocation(store.Revocation{JTI: "a"})
	r.Issuer = ""
	mustBeInvalid(t, s.Revoke(t.Context(), r), "issuer: empty")
	r = revocation(store.Revocation{JTI: "a"})
	r.Until = time.Time{}
	mustBeInvalid(t, s.Revoke(t.Context(), r), "until: missing")
	r.Until = Clock()
	mustBeInvalid(t, s.Revoke(t.Context(), r), "until: is not in the future")
	wantRevoked(t, s, "what was refused", Token("a", "alice", "b"), false)
}

// A revocation is kept until its time and for no shorter one. The store's own clock tells
// when that has come, which only goes on here.
func testRevokedUntil(t *testing.T, s RevocationStore) {
	soon := store.Revocation{Issuer: issuer, JTI: "t1", Until: Clock().Add(24 * time.Hour)}
	shorter := soon
	shorter.Until = Clock().Add(time.Millisecond)
	for _, r := range []store.Revocation{soon, shorter} {
		if err := s.Revoke(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	wantRevoked(t, s, "after a shorter one", Token("t1", "", ""), true)
}

func testAllRevoked(t *testing.T, s RevocationStore) {
	list := func(most int, wantAll bool, want ...store.Revocation) {
		t.Helper()
		ids, all, err := s.AllRevoked(t.Context(), most)
		if err != nil || all != wantAll {
			t.Errorf("at most %d: all is %v (%v)", most, all, err)
		}
		var names []string
		for _, r := range want {
			names = append(names, revocation(r).ID())
		}
		slices.Sort(ids)
		slices.Sort(names)
		if wantAll && !slices.Equal(ids, names) || !wantAll && len(ids) != most {
			t.Errorf("at most %d: %q, want %q", most, ids, names)
		}
	}
	list(10, true)
	one, two, three := store.Revocation{JTI: "t1"}, store.Revocation{Session: "s1"}, store.Revocation{Subject: "alice", IssuedBefore: Clock()}
	for _, r := range []store.Revocation{one, two, three, one} {
		mustRevoke(t, s, r)
	}
	list(10, true, one, two, three)
	list(3, true, one, two, three)
	list(2, false)
}
