package store_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// told is all that a dump tells.
func told(t *testing.T, r *store.Redis) (records []store.Record) {
	t.Helper()
	err := r.Dump(t.Context(), func(rec store.Record) error {
		records = append(records, rec)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// Wherever an operation stands, a key that is good is told once, and none that is not.
func TestRedisDumpBetweenSteps(t *testing.T) {
	server := storetest.StartRedis(t)
	r, s := openRedis(t, server), newStepper(t, server)
	for name, op := range operations {
		for i, more := 0, true; more; i++ {
			seed(t, r)
			s.begin(t.Context(), op)
			more = s.steps(i)
			var good, keys []string
			for _, hash := range r.Client().Keys(t.Context(), "stile:key:*").Val() {
				if found, err := r.Credential(t.Context(), strings.TrimPrefix(hash, "stile:key:")); err != nil {
					t.Fatal(err)
				} else if found != nil && !slices.Contains(good, found.Key.ID) {
					good = append(good, found.Key.ID)
				}
			}
			for _, rec := range told(t, r) {
				if rec.Key != nil {
					keys = append(keys, rec.Key.ID)
				}
			}
			slices.Sort(good)
			if !slices.Equal(keys, good) {
				t.Errorf("%s, after %d round trips: told %q, good are %q", name, i, keys, good)
			}
			s.finish()
		}
	}
}

// A subject's last revocation may have left the list while an earlier one, for longer, has not.
func TestRedisDumpRevokedSubject(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	now, until := storetest.Clock(), storetest.Clock().Add(48*time.Hour)
	for _, rev := range []store.Revocation{
		{IssuedBefore: now.Add(-time.Hour), Until: until}, {IssuedBefore: now, Until: now.Add(time.Hour)},
	} {
		rev.Issuer, rev.Subject = "https://id.example.com", "alice"
		if err := r.Revoke(t.Context(), rev); err != nil {
			t.Fatal(err)
		}
		if err := r.Client().ZRemRangeByScore(t.Context(), "stile:{sys}:revoked", "-inf", strconv.FormatInt(now.Add(time.Hour).UnixMilli(), 10)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	records := told(t, r)
	if len(records) != 1 || !strings.HasSuffix(records[0].Revoked.ID, ":"+strconv.FormatInt(now.UnixMilli(), 10)) || !records[0].Revoked.Until.Equal(until) {
		t.Fatalf("%+v", records)
	}
	all := openUnhurried(t)
	if problems, err := all.Load(t.Context(), records); errors.Join(append(problems, err)...) != nil {
		t.Fatal(problems, err)
	}
	is, err := all.Revoked(t.Context(), store.TokenRef{Issuer: "https://id.example.com", Subject: "alice", IssuedAt: now})
	if err != nil || !is {
		t.Errorf("a token of that moment: %v, %v", is, err)
	}
}

// A loaded rate is kept for as long as the script that counts on wants it, which does not
// write that each time.
func TestRedisLoadedRateStays(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	r.Now = time.Now
	limit := storetest.Slow("burst", 100)
	spent := storetest.Charge(limit)
	if _, ok := storetest.Spend(t, r, spent); !ok {
		t.Fatal("not spent")
	}
	const name = "stile:{c:acme}:limit:burst"
	want := r.Client().ExpireTime(t.Context(), name).Val()
	records := told(t, r)
	if err := r.Client().Del(t.Context(), name).Err(); err != nil {
		t.Fatal(err)
	}
	if problems, err := r.Load(t.Context(), records); errors.Join(append(problems, err)...) != nil {
		t.Fatal(problems, err)
	}
	if got := r.Client().ExpireTime(t.Context(), name).Val(); got != want || want <= 0 {
		t.Errorf("it expires at %v, and at %v where it was counted", got, want)
	}
	if balances, ok := storetest.Spend(t, r, spent); !ok || balances[0].Remaining != 98 {
		t.Errorf("%+v", balances)
	}
}

// What no stile wrote ends a dump, and is not passed over.
func TestRedisDumpCorrupt(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	for key, value := range map[string]string{
		"stile:{c:acme}:limit:burst":         "x",
		"stile:{c:acme}:quota:monthly:12345": "7", // for ever
		"stile:ref:key:k0":                   "a",
	} {
		seed(t, r)
		if err := r.Client().Set(t.Context(), key, value, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if err := r.Dump(t.Context(), func(store.Record) error { return nil }); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: %v", key, err)
		}
	}
	seed(t, r)
	r.Client().Set(t.Context(), "stile:{c:acme}:other", "x", 0) // which is nobody's business
	if records := told(t, r); len(records) != 3 {
		t.Errorf("%+v", records)
	}
}
