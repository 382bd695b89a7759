package storetest

import (
	"strings"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
)

func testConsumer(t *testing.T, s Store) {
	equal(t, "before", consumer(t, s, "acme"), (*store.Consumer)(nil))
	c := Consumer("acme", "partners", "größe 7")
	c.CustomID, c.Disabled = "Kunde {7} & co", true
	c.Version, c.Created = 99, Clock().AddDate(1, 0, 0) // not the caller's to say
	created := mustCreate(t, s, c)
	want := c
	want.Version, want.Created, want.Updated = 1, Clock(), Clock()
	equal(t, "created", created, want)
	equal(t, "found", consumer(t, s, "acme"), &want)
	_, err := s.CreateConsumer(t.Context(), Consumer("acme"))
	equal(t, "created twice", err, store.ErrExists)
	equal(t, "found after", consumer(t, s, "acme"), &want)
	for _, id := range []string{"acm", "ACME", "", "a b", "acme}:keys", "*", "acme\x00"} {
		equal(t, "id "+id, consumer(t, s, id), (*store.Consumer)(nil))
	}
}

func testConsumerPages(t *testing.T, s Store) {
	for i := range 250 { // in an order that is not that of ids
		mustCreate(t, s, Consumer(numbered("c", i*7%250)))
	}
	for i := range 120 {
		if i != 60 {
			if err := s.DeleteConsumer(t.Context(), numbered("c", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	list := func(after string, limit int) (ids []string) {
		t.Helper()
		found, err := s.Consumers(t.Context(), after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range found {
			ids = append(ids, c.ID)
		}
		return ids
	}
	equal(t, "first page", list("", 3), []string{"c060", "c120", "c121"})
	equal(t, "second page", list("c121", 2), []string{"c122", "c123"})
	equal(t, "after one that is not there", list("c1", 1), []string{"c120"})
	equal(t, "end", list("c247", 10), []string{"c248", "c249"})
	equal(t, "past the end", list("c249", 10), []string(nil))
	equal(t, "all", len(list("", 1000)), 131)
	equal(t, "limit by default", len(list("", 0)), 100)
}

func testUpdate(t *testing.T, s Store) {
	_, err := s.UpdateConsumer(t.Context(), Consumer("acme"))
	equal(t, "update of none", err, store.ErrNotFound)
	c := mustCreate(t, s, Consumer("acme", "partners"))
	c.Groups, c.Username = []string{"staff"}, "New"
	updated := mustUpdate(t, s, c)
	c.Version = 2
	equal(t, "updated", updated, c)
	equal(t, "found", consumer(t, s, "acme"), &c)

	stale := c
	stale.Version, stale.Username = 1, "Old"
	_, err = s.UpdateConsumer(t.Context(), stale)
	equal(t, "stale version", err, store.ErrConflict)
	equal(t, "after a conflict", consumer(t, s, "acme"), &c)

	stale.Version = 0
	equal(t, "any version", mustUpdate(t, s, stale).Version, int64(3))
	equal(t, "name now", consumer(t, s, "acme").Username, "Old")
}

func testCustomIDs(t *testing.T, s Store) {
	with := func(id, customID string) store.Consumer {
		c := Consumer(id)
		c.CustomID = customID
		return c
	}
	mustCreate(t, s, with("a", "x"))
	_, err := s.CreateConsumer(t.Context(), with("b", "x"))
	equal(t, "taken", err, store.ErrExists)
	equal(t, "not created", consumer(t, s, "b"), (*store.Consumer)(nil))
	mustCreate(t, s, with("b", ""))
	_, err = s.UpdateConsumer(t.Context(), with("b", "x"))
	equal(t, "taken for an update", err, store.ErrExists)

	mustUpdate(t, s, with("a", "x")) // its own
	mustUpdate(t, s, with("a", "y"))
	mustUpdate(t, s, with("b", "x")) // free now
	_, err = s.UpdateConsumer(t.Context(), with("a", "x"))
	equal(t, "taken by the other", err, store.ErrExists)
	mustUpdate(t, s, with("a", ""))
	mustUpdate(t, s, with("b", "y"))
	mustUpdate(t, s, with("b", "x"))
	equal(t, "a", consumer(t, s, "a").CustomID, "")
	equal(t, "b", consumer(t, s, "b").CustomID, "x")

	if err := s.DeleteConsumer(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, s, with("c", "x"))
}

func testDelete(t *testing.T, s Store) {
	equal(t, "delete of none", s.DeleteConsumer(t.Context(), "acme"), store.ErrNotFound)
	before := mustUpdate(t, s, mustCreate(t, s, Consumer("acme")))
	mustCreate(t, s, Consumer("other"))
	for i := range 130 {
		mustCreateKey(t, s, Key(numbered("k", i), "acme"))
	}
	mustCreateKey(t, s, Key("stays", "other"))
	equal(t, "delete", s.DeleteConsumer(t.Context(), "acme"), nil)
	equal(t, "consumer", consumer(t, s, "acme"), (*store.Consumer)(nil))
	for i := range 130 {
		equal(t, "credential", credential(t, s, numbered("k", i)), (*store.Credential)(nil))
	}
	keys, err := s.Keys(t.Context(), "", "", 1000)
	if err != nil || len(keys) != 1 || keys[0].ID != "stays" {
		t.Errorf("keys left: %v, %v", keys, err)
	}
	equal(t, "delete again", s.DeleteConsumer(t.Context(), "acme"), store.ErrNotFound)

	again := mustCreate(t, s, Consumer("acme"))
	if again.Version <= before.Version {
		t.Errorf("version %d of a new consumer, %d of the deleted one: a stale update would pass", again.Version, before.Version)
	}
	_, err = s.UpdateConsumer(t.Context(), before)
	equal(t, "update of the deleted one", err, store.ErrConflict)
	mustCreateKey(t, s, Key("k001", "acme")) // the id and the hash are free
	equal(t, "new key", credential(t, s, "k001").Consumer, again.Consumer)
}

func testInvalid(t *testing.T, s Store) {
	bad := Consumer("acme", "a,b", "", strings.Repeat("x", 129))
	bad.ID, bad.Username, bad.CustomID = "a b", "line\nbreak", "\xff"
	_, err := s.CreateConsumer(t.Context(), bad)
	mustBeInvalid(t, err, "id: ", "username: ", "custom_id: ", "groups[0]: ", "groups[1]: ", "groups[2]: ")
	_, err = s.UpdateConsumer(t.Context(), bad)
	mustBeInvalid(t, err, "id: ")
	key := Key("-", "")
	key.Hash, key.Name, key.Scopes = "md5:0", strings.Repeat("n", 257), []string{"a b", `a"`, "ok"}
	mustBeInvalid(t, s.CreateKey(t.Context(), key), "id: ", "consumer: ", "hash: ", "name: ", "scopes[0]: ", "scopes[1]: ")
	for _, id := range []string{"", "a b", "k*"} {
		equal(t, "revoke "+id, s.RevokeKey(t.Context(), id), store.ErrNotFound)
		equal(t, "delete "+id, s.DeleteConsumer(t.Context(), id), store.ErrNotFound)
		k, err := s.Key(t.Context(), id)
		if k != nil || err != nil {
			t.Errorf("Key(%q) = %v, %v", id, k, err)
		}
		found, err := s.Credential(t.Context(), id)
		if found != nil || err != nil {
			t.Errorf("Credential(%q) = %v, %v", id, found, err)
		}
	}
}
