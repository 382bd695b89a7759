package storetest

import (
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
)

// RunRecords tests what becomes of many records at once, and while others write. It goes on
// from RunLoad, and the stores are to be the same.
func RunRecords(t *testing.T, open func(testing.TB) LoadStore) {
	tests := []struct {
		name string
		test func(*testing.T, LoadStore)
	}{
		{"many", testManyRecords},
		{"in each other's way", testRecordsInTheWay},
		{"counters", testLoadCounters},
		{"beside creations", testLoadBesideCreations},
		{"beside each other", testLoadBesideLoad},
		{"beside deletions", testLoadBesideDeletions},
		{"beside updates", testLoadBesideUpdates},
		{"dump beside writes", testDumpBesideWrites},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, open(t)) })
	}
}

// Records are so many consumers, each with a key, and as much of all else.
func Records(n int) (records []store.Record) {
	for i := range n {
		c := Consumer(numbered("c", i), "partners")
		c.Version, c.Created, c.Updated = int64(i%3+1), Clock().Add(-time.Hour), Clock()
		if i%3 == 0 {
			c.CustomID = "customer " + strconv.Itoa(i)
		}
		records = append(records, store.Record{Consumer: &c})
	}
	for i := range n {
		k := Key(numbered("k", i), numbered("c", i))
		k.Version = int64(i%2 + 1)
		if i%4 == 0 {
			k.LastUsed = Clock().Add(time.Duration(i) * time.Minute)
		}
		records = append(records, store.Record{Key: &k})
	}
	for i := range n {
		r := revocation(store.Revocation{JTI: numbered("t", i)})
		records = append(records, store.Record{Revoked: &store.RevokedRecord{ID: r.ID(), Until: r.Until}})
	}
	for i := range n {
		full := inUse.Add(time.Duration(i) * time.Microsecond)
		rate := store.CounterRecord{Name: "stile:{c:" + numbered("c", i) + "}:limit:burst", Value: full.UnixMicro(), Expires: full}
		records = append(records, store.Record{Counter: &rate})
	}
	for _, e := range auditOf(n) {
		records = append(records, store.Record{Audit: &e})
	}
	return records
}

func testManyRecords(t *testing.T, s LoadStore) {
	records := Records(1300)
	mustLoad(t, s, nil, records[:3000]...)
	for range 2 {
		mustLoad(t, s, nil, records...)
	}
	sameRecords(t, dump(t, s), byName(Records(1300)))
	equal(t, "a key", credential(t, s, "k999").Consumer, records[999].Consumer.Consumer)
}

// sameRecords is equal, and quick where there are many.
func sameRecords(t *testing.T, got, want []store.Record) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		equal(t, "dump", got, want)
	}
}

// What comes in one batch meets what came just before it.
func testRecordsInTheWay(t *testing.T, s LoadStore) {
	loaded := func(what string, want []error, records ...store.Record) {
		t.Helper()
		problems, err := s.Load(t.Context(), records)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range [][]error{problems, want} {
			slices.SortFunc(p, func(a, b error) int { return boolean(a != nil) - boolean(b != nil) })
		}
		equal(t, what, problems, want)
	}
	one := func(id, custom string) store.Record {
		c := Consumer(id)
		c.CustomID, c.Version = custom, 1
		return store.Record{Consumer: &c}
	}
	key := func(id, secret string) store.Record {
		k := Key(secret, "a")
		k.ID = id
		return store.Record{Key: &k}
	}
	loaded("the same consumer", []error{nil, nil, nil}, one("a", "x"), one("a", "x"), one("a", "x"))
	loaded("one id", []error{nil, store.ErrExists}, one("b", ""), one("b", "y"))
	loaded("one custom id", []error{nil, store.ErrExists}, one("c", "z"), one("d", "z"))
	loaded("the same key", []error{nil, nil, nil}, key("k1", "k1"), key("k1", "k1"), key("k1", "k1"))
	loaded("one id of keys", []error{nil, store.ErrExists}, key("k2", "k2"), key("k2", "k3"))
	loaded("one hash", []error{nil, store.ErrExists}, key("k4", "k4"), key("k5", "k4"))
	if both := credential(t, s, "k2") != nil && credential(t, s, "k3") != nil; both || credential(t, s, "k4") == nil {
		t.Error("not exactly one key is good")
	}
	mustCreateKey(t, s, Key("k6", "a")) // what was refused holds nothing back
	unused := Key("k3", "a")
	if credential(t, s, "k3") != nil {
		unused = Key("k2", "a")
	}
	unused.ID = "k7"
	mustCreateKey(t, s, unused)
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A counter moves forward alone, and what has expired is not brought back.
func testLoadCounters(t *testing.T, s LoadStore) {
	counter := func(value int64) store.Record {
		return store.Record{Counter: &store.CounterRecord{Name: "stile:{c:acme}:quota:yearly:4070908800", Value: value, Expires: inUse}}
	}
	rate := func(full time.Time) store.Record {
		return store.Record{Counter: &store.CounterRecord{Name: "stile:{c:acme}:limit:burst", Value: full.UnixMicro(), Expires: full}}
	}
	mustLoad(t, s, nil, counter(5), rate(inUse))
	mustLoad(t, s, nil, counter(7), rate(inUse.Add(time.Second)))
	mustLoad(t, s, store.ErrExists, counter(6), rate(inUse))
	equal(t, "counters", dump(t, s), []store.Record{rate(inUse.Add(time.Second)), counter(7)})

	quota, limit := Yearly("yearly", 10), Slow("burst", 10)
	for _, now := range []time.Time{Clock(), time.Now()} { // the server's clock is a real one
		start, _ := quota.Quota.Window(now)
		spent := store.CounterRecord{Name: "stile:{c:other}:quota:yearly:" + strconv.FormatInt(start.Unix(), 10), Value: 10, Expires: inUse}
		mustLoad(t, s, nil, store.Record{Counter: &spent})
	}
	past := store.CounterRecord{Name: "stile:{c:other}:limit:burst", Value: Clock().UnixMicro(), Expires: Clock()}
	mustLoad(t, s, nil, store.Record{Counter: &past})
	charge := Charge(quota)
	charge.Slot = "c:other"
	if _, ok := Spend(t, s, charge); ok {
		t.Error("what was spent elsewhere can be spent again")
	}
	charge.Limit = limit
	if balances, ok := Spend(t, s, charge); !ok || balances[0].Remaining != 9 {
		t.Errorf("a bucket that is full again: %+v", balances)
	}
}
