package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
)

// LoadStore is a store that all it holds can be moved out of, and into.
type LoadStore interface {
	Store
	RevocationStore
	AuditStore
	Meter
	store.Dumper
	store.Loader
}

// RunLoad tests the stores that open makes. Each must be empty and go by Clock.
func RunLoad(t *testing.T, open func(testing.TB) LoadStore) {
	for name, test := range map[string]func(*testing.T, LoadStore){
		"moved": testMoved, "again": testLoadedAgain, "used": testLoadedIsUsed, "refused": testLoadRefused,
		"invalid": testLoadInvalid, "version goes on": testLoadedVersion, "audit": testLoadAudit, "revocations": testLoadRevocations, "dump ends": testDumpEnds,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// testLoadedVersion: who read a consumer that was deleted since cannot take a loaded one for it.
func testLoadedVersion(t *testing.T, s LoadStore) {
	c := mustCreate(t, s, Consumer("acme"))
	mustUpdate(t, s, c)
	c.Version = 0
	if err := s.DeleteConsumer(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if problems, err := s.Load(t.Context(), []store.Record{{Consumer: &c}}); err != nil || problems[0] != nil {
		t.Fatal(problems, err)
	}
	if got := consumer(t, s, "acme"); got == nil || got.Version != 3 {
		t.Errorf("loaded as %+v, want version 3", got)
	}
}

// inUse is far ahead of every clock.
var inUse = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)

// all has something of everything. It is in the order of dump.
func all() []store.Record {
	acme, other := Consumer("acme", "partners"), Consumer("other")
	acme.CustomID, acme.Version, acme.Created, acme.Updated = "customer 1", 7, Clock().Add(-48*time.Hour), Clock().Add(-time.Hour)
	other.Version, other.Created, other.Updated, other.Disabled = 1, Clock(), Clock(), true
	first, second := bound("k1", "acme"), Key("k2", "acme")
	first.Version, first.Created, first.LastUsed, first.ReplacedBy = 3, Clock().Add(-47*time.Hour), Clock().Add(-5*time.Minute), "k2"
	first.Opaque, second.Lineage, second.Disabled = true, "k1", true
	records := []store.Record{{Consumer: &acme}, {Consumer: &other}, {Key: &first}, {Key: &second}}
	for _, r := range []store.Revocation{{JTI: "t1"}, {Session: "s1"}, {Subject: "alice", IssuedBefore: Clock()}} {
		records = append(records, store.Record{Revoked: &store.RevokedRecord{ID: revocation(r).ID(), Until: revocation(r).Until}})
	}
	for _, c := range []store.CounterRecord{
		{Name: "stile:{c:acme}:limit:burst", Value: inUse.UnixMicro(), Expires: inUse},
		{Name: "stile:{c:acme}:quota:yearly:4070908800", Value: 42, Expires: inUse.Add(time.Minute)},
	} {
		records = append(records, store.Record{Counter: &c})
	}
	for _, e := range auditOf(3) {
		records = append(records, store.Record{Audit: &e})
	}
	return records
}

// auditOf is a chain.
func auditOf(n int) (entries []store.AuditEntry) {
	source := store.NewMemory()
	source.Now = Clock
	for i := range n {
		e, _ := source.AppendAudit(context.Background(), auditRecord(i)) // which does not fail
		entries = append(entries, e)
	}
	return entries
}

// dump is all that a store tells, each kind in the order of its names.
func dump(t *testing.T, s store.Dumper) (records []store.Record) {
	t.Helper()
	if err := s.Dump(t.Context(), func(r store.Record) error {
		records = append(records, r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(records, func(a, b store.Record) int { return cmp.Compare(kind(a), kind(b)) }) {
		t.Error("the kinds do not come in their order")
	}
	return byName(records)
}

func byName(records []store.Record) []store.Record {
	slices.SortStableFunc(records, func(a, b store.Record) int { return cmp.Compare(name(a), name(b)) })
	return records
}

func kind(r store.Record) int {
	return slices.Index([]bool{r.Consumer != nil, r.Key != nil, r.Revoked != nil, r.Counter != nil, r.Audit != nil}, true)
}

// name tells records apart.
func name(r store.Record) string {
	switch {
	case r.Consumer != nil:
		return "0 " + r.Consumer.ID
	case r.Key != nil:
		return "1 " + r.Key.ID
	case r.Revoked != nil:
		return "2 " + r.Revoked.ID
	case r.Counter != nil:
		return "3 " + r.Counter.Name
	default:
		return fmt.Sprintf("4 %09d", r.Audit.Seq)
	}
}

// mustLoad loads records, each with the answer that is wanted of it.
func mustLoad(t *testing.T, s store.Loader, want error, records ...store.Record) {
	t.Helper()
	problems, err := s.Load(t.Context(), records)
	if err != nil || len(problems) != len(records) {
		t.Fatalf("%d answers for %d records, %v", len(problems), len(records), err)
	}
	for i, problem := range problems {
		equal(t, name(records[i]), problem, want)
	}
}

func testMoved(t *testing.T, s LoadStore) {
	equal(t, "of nothing", len(dump(t, s)), 0)
	mustLoad(t, s, nil)
	mustLoad(t, s, nil, all()...)
	equal(t, "as it was", dump(t, s), byName(all()))
}

func testLoadedAgain(t *testing.T, s LoadStore) {
	half := all()
	mustLoad(t, s, nil, half[:len(half)/2]...)
	want := all()
	elsewhere := time.FixedZone("elsewhere", 3600)
	for _, r := range want { // the same times, written otherwise
		switch {
		case r.Consumer != nil:
			r.Consumer.Created = r.Consumer.Created.In(elsewhere)
		case r.Key != nil:
			r.Key.ExpiresAt, r.Key.Groups = r.Key.ExpiresAt.In(elsewhere), append([]string{}, r.Key.Groups...)
		case r.Revoked != nil:
			r.Revoked.Until = r.Revoked.Until.In(elsewhere)
		}
	}
	for range 2 {
		mustLoad(t, s, nil, want...)
	}
	before := dump(t, s)
	equal(t, "no change", before, byName(all()))
	used := *half[3].Key
	used.LastUsed = Clock()
	mustLoad(t, s, nil, store.Record{Key: &used})
	equal(t, "its use moves forward", key(t, s, used.ID).LastUsed, Clock())
	mustLoad(t, s, nil, half[3])
	equal(t, "and not back", key(t, s, used.ID).LastUsed, Clock())
	equal(t, "all of it", len(dump(t, s)), len(before))
}

func testLoadedIsUsed(t *testing.T, s LoadStore) {
	mustLoad(t, s, nil, all()...)
	acme, first := *all()[0].Consumer, *all()[2].Key
	found := credential(t, s, "k1")
	first.LastUsed = time.Time{}
	equal(t, "credential", found, &store.Credential{Key: first, Consumer: acme.Consumer})
	taken := Consumer("third")
	taken.CustomID = acme.CustomID
	_, err := s.CreateConsumer(t.Context(), taken)
	equal(t, "its custom id is taken", err, store.ErrExists)
	stale := acme
	stale.Version = 6
	_, err = s.UpdateConsumer(t.Context(), stale)
	equal(t, "its version counts", err, store.ErrConflict)
	equal(t, "and goes on", mustUpdate(t, s, acme).Version, int64(8))
	equal(t, "so does that of a key", key(t, s, "k1").Version, int64(3))
	wantRevoked(t, s, "revoked", Token("t1", "bob", ""), true)
	mustAppend(t, s, auditRecord(3))
	entries, head := chain(t, s)
	equal(t, "the chain goes on", store.VerifyAudit(entries, head), nil)
	equal(t, "entries", len(entries), 4)
	equal(t, "delete", s.DeleteConsumer(t.Context(), "acme"), nil)
	equal(t, "with its keys", credential(t, s, "k2"), (*store.Credential)(nil))
	mustLoad(t, s, nil, all()[0], all()[2])
	equal(t, "loaded once more", consumer(t, s, "acme").Version, int64(7))
}

func testLoadRefused(t *testing.T, s LoadStore) {
	mustLoad(t, s, store.ErrNotFound, all()[2])
	mustLoad(t, s, nil, all()...)
	before := dump(t, s)
	c := *all()[0].Consumer
	c.Username = "another"
	mustLoad(t, s, store.ErrExists, store.Record{Consumer: &c})
	c.ID = "third"
	mustLoad(t, s, store.ErrExists, store.Record{Consumer: &c}) // for its custom id
	k := *all()[2].Key
	k.Version++
	mustLoad(t, s, store.ErrExists, store.Record{Key: &k})
	k.ID = "k3"
	mustLoad(t, s, store.ErrExists, store.Record{Key: &k}) // for its hash
	counter := *all()[7].Counter
	counter.Value-- // a higher one is newer, and replaces what is there
	mustLoad(t, s, store.ErrExists, store.Record{Counter: &counter})
	equal(t, "all as it was", dump(t, s), before)
}

func testLoadInvalid(t *testing.T, s LoadStore) {
	c, k, revoked, counter, entry := *all()[0].Consumer, *all()[2].Key, *all()[4].Revoked, *all()[7].Counter, *all()[9].Audit
	c.Version, k.Hash, revoked.ID, counter.Name, entry.Hash = -1, "md5:0", "jti:0", "stile:key:x", "0"
	records := []store.Record{
		{}, {Consumer: &c}, {Key: &k}, {Revoked: &revoked}, {Counter: &counter}, {Audit: &entry}, {Consumer: all()[0].Consumer, Key: all()[2].Key},
	}
	problems, err := s.Load(t.Context(), append(records, all()[0]))
	if err != nil || len(problems) != len(records)+1 {
		t.Fatalf("%d answers, %v", len(problems), err)
	}
	for i := range records {
		mustBeInvalid(t, problems[i])
	}
	equal(t, "a good one among them", problems[len(records)], nil)
	equal(t, "is there alone", dump(t, s), all()[:1])
}

func testLoadAudit(t *testing.T, s LoadStore) {
	var records []store.Record
	for _, e := range auditOf(5) {
		records = append(records, store.Record{Audit: &e})
	}
	mustLoad(t, s, store.ErrConflict, records[1])
	mustLoad(t, s, nil, records[:2]...)
	mustLoad(t, s, store.ErrConflict, records[3:]...)
	forged := *records[1].Audit
	forged.Actor = "nobody"
	mustLoad(t, s, store.ErrConflict, store.Record{Audit: &forged})
	forged = *records[2].Audit
	forged.Prev = forged.Hash
	mustLoad(t, s, store.ErrConflict, store.Record{Audit: &forged})
	mustLoad(t, s, nil, records...)
	entries, head := chain(t, s)
	equal(t, "verified", store.VerifyAudit(entries, head), nil)
	equal(t, "entries", entries, auditOf(5))
}

// A revocation that is there only moves forward, as with Revoke.
func testLoadRevocations(t *testing.T, s LoadStore) {
	record := func(issued, until time.Time) store.Record {
		r := store.Revocation{Issuer: issuer, Subject: "alice", IssuedBefore: issued}
		return store.Record{Revoked: &store.RevokedRecord{ID: r.ID(), Until: until}}
	}
	day := Clock().Add(24 * time.Hour)
	mustLoad(t, s, nil, record(Clock(), day), record(Clock().Add(-time.Hour), day.Add(time.Hour)))
	token := Token("", "alice", "")
	token.IssuedAt = Clock()
	wantRevoked(t, s, "an earlier one sets nothing back", token, true)
	token.IssuedAt = Clock().Add(time.Second)
	wantRevoked(t, s, "issued after", token, false)
	mustLoad(t, s, nil, record(Clock().Add(time.Minute), day))
	wantRevoked(t, s, "a later one moves it forward", token, true)

	ended := store.Revocation{Issuer: issuer, JTI: "old"}
	mustLoad(t, s, nil, store.Record{Revoked: &store.RevokedRecord{ID: ended.ID(), Until: Clock()}})
	wantRevoked(t, s, "one that has ended", Token("old", "", ""), false)
}

func testDumpEnds(t *testing.T, s LoadStore) {
	mustLoad(t, s, nil, all()...)
	told := 0
	err := s.Dump(t.Context(), func(store.Record) error {
		if told++; told == 3 {
			return errEnough
		}
		return nil
	})
	equal(t, "its error", err, errEnough)
	equal(t, "told", told, 3)
}

// errEnough is one that no store has.
var errEnough = errors.New("enough")
