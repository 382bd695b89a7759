package storetest

import (
	"errors"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// pepper makes one.
func pepper(version int) policy.Pepper {
	return policy.Pepper{Version: version, Secret: policy.NewSecret("a pepper of 16 bytes or more " + strconv.Itoa(version))}
}

// peppered is the hash of Secret with a pepper; with 0 it is Hash.
func peppered(version int, id string) string {
	if version == 0 {
		return Hash(id)
	}
	return pepper(version).HashKey(Secret(id))
}

func rehash(t *testing.T, s Store, id string, from, to int) error {
	t.Helper()
	return s.RehashKey(t.Context(), id, peppered(from, id), peppered(to, id))
}

// under is what is found with a pepper.
func under(t *testing.T, s Store, version int, id string) *store.Credential {
	t.Helper()
	found, err := s.Credential(t.Context(), peppered(version, id))
	if err != nil {
		t.Errorf("Credential(%q): %v", id, err)
	}
	return found
}

func gone(t *testing.T, s Store, what, id string, versions ...int) {
	t.Helper()
	for _, v := range versions {
		if found := under(t, s, v, id); found != nil {
			t.Errorf("%s: key %q is good under pepper %d", what, id, v)
		}
	}
}

func testRehash(t *testing.T, s Store) {
	c := mustCreate(t, s, Consumer("other", "partners"))
	first := bound("k1", "other")
	first.Opaque, first.Lineage = true, "k0"
	mustCreateKey(t, s, first)
	mustCreateKey(t, s, Key("k2", "other"))
	want, err := s.UpdateKey(t.Context(), first)
	equal(t, "update", err, nil)
	at := Clock().Add(time.Hour)
	equal(t, "mark", s.MarkUsed(t.Context(), []store.Use{{Consumer: "other", Key: "k1", At: at}}), nil)

	for range 2 { // the second time there is nothing to do
		equal(t, "rehash", rehash(t, s, "k1", 0, 1), nil)
		gone(t, s, "rehashed", "k1", 0)
		want.Hash, want.LastUsed = peppered(1, "k1"), time.Time{}
		equal(t, "all of it", under(t, s, 1, "k1"), &store.Credential{Key: want, Consumer: c.Consumer})
		want.LastUsed = at
		equal(t, "by id", key(t, s, "k1"), &want)
	}
	for _, of := range []string{"", "other"} {
		keys, err := s.Keys(t.Context(), of, "", 9)
		equal(t, "list", err, nil)
		if len(keys) != 2 || !cmp.Equal(keys[0], want, cmpopts.EquateComparable(netip.Prefix{})) || keys[1].ID != "k2" {
			t.Errorf("listed: %+v", keys)
		}
	}
	equal(t, "to the next pepper", rehash(t, s, "k1", 1, 3), nil)
	gone(t, s, "moved on", "k1", 0, 1)
	equal(t, "its version", under(t, s, 3, "k1").Key.Version, int64(2))
}

func testRehashRefused(t *testing.T, s Store) {
	equal(t, "none", rehash(t, s, "k1", 0, 1), store.ErrNotFound)
	mustCreate(t, s, Consumer("acme"))
	mustCreateKey(t, s, Key("k1", "acme"))
	want := credential(t, s, "k1")
	equal(t, "from another", rehash(t, s, "k1", 1, 2), store.ErrNotFound)
	mustBeInvalid(t, rehash(t, s, "k1", 0, 0), "higher version")
	mustBeInvalid(t, rehash(t, s, "k1", 2, 1), "higher version")
	mustBeInvalid(t, s.RehashKey(t.Context(), "a b", "x", "y"), "id", "from", "to")
	same := Key("k2", "acme") // the same key, imported a second time
	same.Hash = peppered(1, "k1")
	mustCreateKey(t, s, same)
	equal(t, "taken", rehash(t, s, "k1", 0, 1), store.ErrExists)
	equal(t, "unchanged", credential(t, s, "k1"), want)
	equal(t, "unchanged, too", under(t, s, 1, "k1").Key.ID, "k2")
	equal(t, "revoke", s.RevokeKey(t.Context(), "k1"), nil)
	equal(t, "revoked", rehash(t, s, "k1", 0, 1), store.ErrNotFound)
	equal(t, "still there", under(t, s, 1, "k1").Key.ID, "k2")
}

// testRehashed does what can be done with a key by its id.
func testRehashed(t *testing.T, s Store) {
	mustCreate(t, s, Consumer("acme"))
	for _, id := range []string{"k1", "k2", "k3", "k4"} {
		mustCreateKey(t, s, Key(id, "acme"))
		equal(t, "rehash", rehash(t, s, id, 0, 1), nil)
	}
	changed := Key("k1", "acme")
	changed.Name = "changed"
	got, err := s.UpdateKey(t.Context(), changed)
	equal(t, "update", err, nil)
	equal(t, "updated", under(t, s, 1, "k1").Key, got)
	c := mustUpdate(t, s, Consumer("acme", "staff"))
	equal(t, "its copy follows", under(t, s, 1, "k1").Consumer, c.Consumer)

	_, old, err := store.RotateKey(t.Context(), s, "k2", rotation("new", time.Hour))
	equal(t, "rotate", err, nil)
	equal(t, "rotated", under(t, s, 1, "k2").Key, old)
	equal(t, "in its place", credential(t, s, "new").Key.Lineage, "k2")
	equal(t, "same id", s.CreateKey(t.Context(), Key("k3", "acme")), store.ErrExists)
	equal(t, "revoke", s.RevokeKey(t.Context(), "k3"), nil)
	gone(t, s, "revoked", "k3", 0, 1)
	mustCreateKey(t, s, Key("k3", "acme"))
	equal(t, "another of the same id", rehash(t, s, "k3", 0, 1), nil)

	equal(t, "delete", s.DeleteConsumer(t.Context(), "acme"), nil)
	for _, id := range []string{"k1", "k2", "k3", "k4"} {
		gone(t, s, "consumer deleted", id, 0, 1)
		if k := key(t, s, id); k != nil {
			t.Errorf("key %q of a deleted consumer is there", id)
		}
	}
}

// answered is an answer that may be given while another moves the same key.
func answered(t *testing.T, err error, answers ...error) {
	t.Helper()
	for _, a := range answers {
		if errors.Is(err, a) {
			return
		}
	}
	if err != nil {
		t.Error(err)
	}
}

func testConcurrentRehashes(t *testing.T, s Store) {
	mustCreate(t, s, Consumer("acme"))
	for i := range 10 {
		id := numbered("k", i)
		mustCreateKey(t, s, Key(id, "acme"))
		together(6, func(i int) { answered(t, rehash(t, s, id, 0, 1+i%2), store.ErrConflict, store.ErrNotFound) })
		if found := under(t, s, 1, id); found != nil {
			equal(t, "moved on", rehash(t, s, id, 1, 2), nil)
		}
		equal(t, "at the last", rehash(t, s, id, 1, 2), nil)
		gone(t, s, "moved", id, 0, 1)
		equal(t, "moved", under(t, s, 2, id).Key.ID, id)
	}
}

// testRehashWhileUpdated loses neither updates of the key nor of its consumer.
func testRehashWhileUpdated(t *testing.T, s Store) {
	mustCreate(t, s, Consumer("acme"))
	const each = 3
	for round := range 15 {
		id := numbered("k", round)
		mustCreateKey(t, s, Key(id, "acme"))
		var last store.Consumer
		together(5, func(i int) {
			switch i {
			case 0, 1:
				answered(t, rehash(t, s, id, 0, 1), store.ErrConflict)
			case 2:
				for j := range each {
					last = mustUpdate(t, s, Consumer("acme", numbered("round", round*each+j)))
				}
			default:
				for j := range each {
					addGroup(t, s, id, numbered("g", i*each+j))
				}
			}
		})
		equal(t, "in the end", rehash(t, s, id, 0, 1), nil)
		gone(t, s, "moved", id, 0)
		found := under(t, s, 1, id)
		if found == nil || len(found.Key.Groups) != 2*each || found.Key.Version != 2*each+1 {
			t.Fatalf("an update was lost: %+v", found)
		}
		equal(t, "copy", found.Consumer, last.Consumer)
	}
}

// addGroup reads a key and writes it, until nobody has come in between.
func addGroup(t *testing.T, s Store, id, group string) {
	t.Helper()
	for {
		k := key(t, s, id)
		if k == nil {
			t.Errorf("key %q is missing", id)
			return
		}
		k.Groups = append(k.Groups, group)
		_, err := s.UpdateKey(t.Context(), *k)
		if err == nil {
			return
		}
		if !errors.Is(err, store.ErrConflict) {
			t.Error(err)
			return
		}
	}
}

func testRehashWhileEnded(t *testing.T, s Store) {
	for round := range 40 {
		mustCreate(t, s, Consumer("acme"))
		mustCreateKey(t, s, Key("k1", "acme"))
		together(4, func(i int) {
			switch {
			case i > 1:
				answered(t, rehash(t, s, "k1", 0, i-1), store.ErrConflict, store.ErrNotFound)
			case i == 0 && round%2 == 0:
				equal(t, "revoke", s.RevokeKey(t.Context(), "k1"), nil)
				gone(t, s, "just revoked", "k1", 0, 1, 2)
			case i == 0:
				equal(t, "delete", s.DeleteConsumer(t.Context(), "acme"), nil)
				gone(t, s, "just deleted", "k1", 0, 1, 2)
			}
		})
		gone(t, s, "ended", "k1", 0, 1, 2)
		if k := key(t, s, "k1"); k != nil {
			t.Fatalf("it is there again: %+v", k)
		}
		if round%2 == 0 {
			equal(t, "delete", s.DeleteConsumer(t.Context(), "acme"), nil)
		}
	}
}
