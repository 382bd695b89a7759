package storetest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
)

func mustBeInvalid(t *testing.T, err error, problems ...string) {
	t.Helper()
	var invalid *store.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("%v is no InvalidError", err)
	}
	for _, p := range problems {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%q is not in %q", p, err)
		}
	}
}

func testKey(t *testing.T, s Store) {
	mustCreate(t, s, Consumer("acme", "partners"))
	equal(t, "before", credential(t, s, "k1"), (*store.Credential)(nil))
	want := Key("k1", "acme")
	want.ExpiresAt = time.Date(2027, 1, 2, 3, 4, 5, 678900000, time.UTC)
	in := want
	in.ExpiresAt = want.ExpiresAt.In(time.FixedZone("elsewhere", 3600))
	mustCreateKey(t, s, in)
	equal(t, "credential", credential(t, s, "k1"), &store.Credential{Key: want, Consumer: Consumer("acme", "partners").Consumer})
	k, err := s.Key(t.Context(), "k1")
	equal(t, "key", k, &want)
	equal(t, "key's error", err, nil)
	k, err = s.Key(t.Context(), "k2")
	equal(t, "no key", k, (*store.Key)(nil))
	equal(t, "no key's error", err, nil)

	text, _ := json.Marshal(want)
	if strings.Contains(string(text), want.Hash[len("sha256:"):]) {
		t.Errorf("the hash is in the key's JSON: %s", text)
	}
	dated := Key("k3", "acme")
	dated.Created = time.Time{}
	mustCreateKey(t, s, dated)
	equal(t, "created by the store's clock", credential(t, s, "k3").Key.Created, Clock())
}

func testKeyRefused(t *testing.T, s Store) {
	equal(t, "no consumer", s.CreateKey(t.Context(), Key("k1", "acme")), store.ErrNotFound)
	equal(t, "after", credential(t, s, "k1"), (*store.Credential)(nil))
	mustCreate(t, s, Consumer("acme"))
	mustCreate(t, s, Consumer("other"))
	mustCreateKey(t, s, Key("k1", "acme")) // neither id nor hash is taken by the failure
	want := credential(t, s, "k1")

	equal(t, "the same", s.CreateKey(t.Context(), Key("k1", "acme")), store.ErrExists)
	sameID := Key("k2", "other")
	sameID.ID = "k1"
	equal(t, "same id", s.CreateKey(t.Context(), sameID), store.ErrExists)
	equal(t, "hash of the refused", credential(t, s, "k2"), (*store.Credential)(nil))
	sameHash := Key("k1", "other")
	sameHash.ID = "k3"
	equal(t, "same hash", s.CreateKey(t.Context(), sameHash), store.ErrExists)
	equal(t, "unchanged", credential(t, s, "k1"), want)
	mustCreateKey(t, s, Key("k2", "other"))
	mustCreateKey(t, s, Key("k3", "other"))
}

func testKeyPages(t *testing.T, s Store) {
	mustCreate(t, s, Consumer("a"))
	mustCreate(t, s, Consumer("b"))
	for i := range 240 {
		mustCreateKey(t, s, Key(numbered("k", i*7%240), []string{"a", "b"}[i%2]))
	}
	for _, id := range []string{"k", "k-", "k0", "k00", "k000.1"} { // ids that begin alike
		mustCreateKey(t, s, Key(id, "a"))
	}
	list := func(consumer, after string, limit int) (ids []string) {
		t.Helper()
		found, err := s.Keys(t.Context(), consumer, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range found {
			if consumer != "" && k.Consumer != consumer {
				t.Errorf("key %q of %q in the list of %q", k.ID, k.Consumer, consumer)
			}
			ids = append(ids, k.ID)
		}
		return ids
	}
	equal(t, "all", list("", "", 7), []string{"k", "k-", "k0", "k00", "k000", "k000.1", "k001"})
	equal(t, "after k", list("", "k", 2), []string{"k-", "k0"})
	equal(t, "after k0", list("", "k0", 2), []string{"k00", "k000"})
	equal(t, "after k000", list("", "k000", 2), []string{"k000.1", "k001"})
	equal(t, "count of all", len(list("", "", 1000)), 245)
	equal(t, "limit by default", len(list("", "", 0)), 100)
	equal(t, "count of a", len(list("a", "", 1000)), 125)
	equal(t, "count of b", len(list("b", "", 1000)), 120)
	equal(t, "a", list("a", "k00", 2), []string{"k000", "k000.1"})
	equal(t, "end", list("", "k238", 9), []string{"k239"})
	equal(t, "none", list("nobody", "", 9), []string(nil))
}

func testRevoke(t *testing.T, s Store) {
	mustCreate(t, s, Consumer("acme"))
	mustCreateKey(t, s, Key("k1", "acme"))
	mustCreateKey(t, s, Key("k2", "acme"))
	equal(t, "revoke", s.RevokeKey(t.Context(), "k1"), nil)
	equal(t, "revoked", credential(t, s, "k1"), (*store.Credential)(nil))
	equal(t, "again", s.RevokeKey(t.Context(), "k1"), store.ErrNotFound)
	k, err := s.Key(t.Context(), "k1")
	if k != nil || err != nil {
		t.Errorf("a revoked key: %v, %v", k, err)
	}
	for _, of := range []string{"", "acme"} {
		keys, err := s.Keys(t.Context(), of, "", 9)
		if err != nil || len(keys) != 1 || keys[0].ID != "k2" {
			t.Errorf("keys of %q: %v, %v", of, keys, err)
		}
	}
	mustCreateKey(t, s, Key("k1", "acme"))
	if credential(t, s, "k1") == nil || credential(t, s, "k2") == nil {
		t.Error("a key is missing")
	}
}

func testCopiesFollow(t *testing.T, s Store) {
	c := mustCreate(t, s, Consumer("acme", "partners"))
	for i := range 130 {
		mustCreateKey(t, s, Key(numbered("k", i), "acme"))
	}
	c.Disabled, c.Groups = true, nil
	c = mustUpdate(t, s, c)
	for i := range 130 {
		equal(t, "copy", credential(t, s, numbered("k", i)).Consumer, c.Consumer)
	}
	mustCreateKey(t, s, Key("later", "acme"))
	equal(t, "copy of a later key", credential(t, s, "later").Consumer, c.Consumer)
}

func testNothingShared(t *testing.T, s Store) {
	c := Consumer("acme", "partners")
	mustCreate(t, s, c).Groups[0] = "x"
	c.Groups[0] = "x"
	k := Key("k1", "acme")
	mustCreateKey(t, s, k)
	k.Scopes[0] = "x"
	first := credential(t, s, "k1")
	first.Key.Scopes[0], first.Consumer.Groups[0] = "x", "x"
	consumer(t, s, "acme").Groups[0] = "x"
	equal(t, "credential", credential(t, s, "k1"), &store.Credential{
		Key: Key("k1", "acme"), Consumer: Consumer("acme", "partners").Consumer,
	})
}
