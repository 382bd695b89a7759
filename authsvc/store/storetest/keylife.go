package storetest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
)

// bound is a key with every bound that it can have.
func bound(id, consumer string) store.Key {
	k := Key(id, consumer)
	k.Groups, k.Routes, k.Limits = []string{"beta"}, []string{"orders"}, []string{"burst"}
	k.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	k.NotBefore, k.ExpiresAt = Clock().Add(-time.Hour), Clock().Add(1000*time.Hour)
	return k
}

func key(t *testing.T, s Store, id string) *store.Key {
	t.Helper()
	found, err := s.Key(t.Context(), id)
	if err != nil {
		t.Errorf("Key(%q): %v", id, err)
	}
	return found
}

func testUpdateKey(t *testing.T, s Store) {
	c := mustCreate(t, s, Consumer("acme", "partners"))
	mustCreateKey(t, s, Key("k1", "acme"))
	want := bound("k1", "acme")
	want.Name, want.Scopes, want.Disabled, want.ReplacedBy = "renamed", []string{"orders:write"}, true, "k2"
	in := want
	in.ExpiresAt = want.ExpiresAt.In(time.FixedZone("elsewhere", 3600))
	// What an update does not replace, whatever it says.
	in.Hash, in.Consumer, in.Lineage, in.Opaque, in.Created = Hash("k9"), "other", "k0", true, Clock().Add(time.Hour)
	in.LastUsed = Clock()
	want.Version = 2
	got, err := s.UpdateKey(t.Context(), in)
	equal(t, "error", err, nil)
	equal(t, "updated", got, want)
	equal(t, "credential", credential(t, s, "k1"), &store.Credential{Key: want, Consumer: c.Consumer})
	equal(t, "key", key(t, s, "k1"), &want)
	equal(t, "by the hash that it was given", credential(t, s, "k9"), (*store.Credential)(nil))

	plain := Key("k1", "acme") // all bounds go
	plain.Version = 0
	got, err = s.UpdateKey(t.Context(), plain)
	plain.Version = 3
	equal(t, "error", err, nil)
	equal(t, "without bounds", got, plain)
	equal(t, "credential without bounds", credential(t, s, "k1").Key, plain)
	got.Scopes[0] = "x"
	equal(t, "not shared", credential(t, s, "k1").Key, plain)

	c = mustUpdate(t, s, Consumer("acme", "staff"))
	equal(t, "its copy of the consumer still follows", credential(t, s, "k1").Consumer, c.Consumer)
}

func testUpdateKeyRefused(t *testing.T, s Store) {
	mustCreate(t, s, Consumer("acme"))
	_, err := s.UpdateKey(t.Context(), Key("k1", "acme"))
	equal(t, "none", err, store.ErrNotFound)
	mustCreateKey(t, s, Key("k1", "acme"))
	want := credential(t, s, "k1")
	for _, version := range []int64{-1, 2, 1 << 60} {
		k := Key("k1", "acme")
		k.Name, k.Version = "changed", version
		_, err = s.UpdateKey(t.Context(), k)
		equal(t, "another version", err, store.ErrConflict)
	}
	bad := Key("k1", "acme")
	bad.Scopes, bad.ReplacedBy = []string{"a b"}, "a/b"
	bad.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("::ffff:192.0.2.0/120")}
	_, err = s.UpdateKey(t.Context(), bad)
	mustBeInvalid(t, err, "scopes[0]", "replaced_by", "networks[0]", "networks[1]")
	equal(t, "unchanged", credential(t, s, "k1"), want)
	equal(t, "revoke", s.RevokeKey(t.Context(), "k1"), nil)
	_, err = s.UpdateKey(t.Context(), Key("k1", "acme"))
	equal(t, "revoked", err, store.ErrNotFound)
	equal(t, "still revoked", credential(t, s, "k1"), (*store.Credential)(nil))
	mustCreateKey(t, s, Key("k1", "acme"))
	equal(t, "version of a new one", credential(t, s, "k1").Key.Version, int64(1))
}

// rotation makes the key new in place of another.
func rotation(id string, overlap time.Duration) store.Rotation {
	return store.Rotation{ID: id, Hash: Hash(id), Overlap: overlap, Now: Clock()}
}

func testRotateKey(t *testing.T, s Store) {
	mustCreate(t, s, Consumer("acme"))
	first := bound("k1", "acme")
	first.Opaque = true
	mustCreateKey(t, s, first)
	made, old, err := store.RotateKey(t.Context(), s, "k1", rotation("k2", time.Hour))
	equal(t, "error", err, nil)
	want := bound("k2", "acme")
	want.Name, want.Lineage = first.Name, "k1"
	equal(t, "made", made, want)
	equal(t, "made, as stored", credential(t, s, "k2").Key, want)
	first.ReplacedBy, first.ExpiresAt, first.Version = "k2", Clock().Add(time.Hour), 2
	equal(t, "old", old, first)
	equal(t, "old, as stored", credential(t, s, "k1").Key, first)

	r := rotation("k3", 9999*time.Hour)
	r.Name = "third"
	made, old, err = store.RotateKey(t.Context(), s, "k2", r)
	equal(t, "second time", err, nil)
	equal(t, "lineage goes on", []string{made.Lineage, made.Name, old.ReplacedBy}, []string{"k1", "third", "k3"})
	equal(t, "its own end, which is sooner", old.ExpiresAt, want.ExpiresAt)

	_, _, err = store.RotateKey(t.Context(), s, "k3", rotation("k4", 0))
	equal(t, "without overlap", err, nil)
	equal(t, "revoked", credential(t, s, "k3"), (*store.Credential)(nil))
	equal(t, "in its place", credential(t, s, "k4").Key.Lineage, "k1")
}

func testRotateKeyRefused(t *testing.T, s Store) {
	rotate := func(id, to string) error {
		_, _, err := store.RotateKey(t.Context(), s, id, rotation(to, time.Hour))
		return err
	}
	equal(t, "none", rotate("k1", "k2"), store.ErrNotFound)
	mustCreate(t, s, Consumer("acme"))
	mustCreateKey(t, s, Key("k1", "acme"))
	equal(t, "to itself", rotate("k1", "k1"), store.ErrExists)
	equal(t, "first", rotate("k1", "k2"), nil)
	equal(t, "while it rotates", rotate("k1", "k3"), store.ErrConflict)
	equal(t, "nothing made", credential(t, s, "k3"), (*store.Credential)(nil))
	equal(t, "the newest", rotate("k2", "k3"), nil)
	equal(t, "revoke what replaces k2", s.RevokeKey(t.Context(), "k3"), nil)
	equal(t, "its successor is gone", rotate("k2", "k4"), nil)

	late := Key("k5", "acme")
	late.ExpiresAt = Clock()
	mustCreateKey(t, s, late)
	equal(t, "expired", rotate("k5", "k6"), store.ErrConflict)

	mustCreateKey(t, s, Key("k7", "acme"))
	won := make([]error, 8)
	together(len(won), func(i int) { won[i] = rotate("k7", numbered("new", i)) })
	winners := 0
	for i, err := range won {
		if err == nil {
			winners++
		} else {
			equal(t, "at the same time", err, store.ErrConflict)
		}
		equal(t, "usable just when it won", credential(t, s, numbered("new", i)) != nil, err == nil)
	}
	equal(t, "winners", winners, 1)
}

func testLastUse(t *testing.T, s Store) {
	mustCreate(t, s, Consumer("acme"))
	mustCreateKey(t, s, Key("k1", "acme"))
	mustCreateKey(t, s, Key("k2", "acme"))
	mark := func(consumer, id string, at time.Time) {
		t.Helper()
		equal(t, "mark", s.MarkUsed(t.Context(), []store.Use{{Consumer: consumer, Key: id, At: at}}), nil)
	}
	equal(t, "never used", key(t, s, "k1").LastUsed, time.Time{})
	at := Clock().Add(time.Hour)
	mark("acme", "k1", at)
	mark("acme", "k1", at.Add(-time.Minute)) // another process, which is late
	mark("nobody", "k1", at.Add(time.Hour))
	mark("acme", "none", at)
	equal(t, "nothing", s.MarkUsed(t.Context(), nil), nil)
	equal(t, "used", key(t, s, "k1").LastUsed, at)
	equal(t, "another", key(t, s, "k2").LastUsed, time.Time{})
	for _, of := range []string{"", "acme"} {
		keys, err := s.Keys(t.Context(), of, "", 9)
		equal(t, "error", err, nil)
		if len(keys) != 2 || !keys[0].LastUsed.Equal(at) || !keys[1].LastUsed.IsZero() {
			t.Errorf("listed: %+v", keys)
		}
	}
	_, err := s.UpdateKey(t.Context(), *key(t, s, "k1"))
	equal(t, "update", err, nil)
	equal(t, "used before an update", key(t, s, "k1").LastUsed, at)

	equal(t, "revoke", s.RevokeKey(t.Context(), "k1"), nil)
	mustCreateKey(t, s, Key("k1", "acme"))
	equal(t, "another of the same id", key(t, s, "k1").LastUsed, time.Time{})
	mark("acme", "k1", at)
	equal(t, "delete", s.DeleteConsumer(t.Context(), "acme"), nil)
	mark("acme", "k1", at)
	mustCreate(t, s, Consumer("acme"))
	mustCreateKey(t, s, Key("k1", "acme"))
	equal(t, "of another consumer of the same id", key(t, s, "k1").LastUsed, time.Time{})
}
