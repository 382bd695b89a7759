package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

func TestAnnounce(t *testing.T) {
	server := storetest.StartRedis(t)
	a, b := openRedis(t, server), openRedis(t, server)
	announce(t, a, store.KeyChanged, "k1")
	if n := announce(t, b, store.ConsumerChanged, "acme"); n != 2 {
		t.Errorf("the second change has the number %d", n)
	}
	db := a.Client()
	epoch := db.Get(t.Context(), "stile:{sys}:epoch").Val()
	if len(epoch) < 16 {
		t.Errorf("epoch %q could be drawn twice", epoch)
	}
	var values []map[string]any
	for _, m := range db.XRange(t.Context(), changesLog, "-", "+").Val() {
		values = append(values, m.Values)
	}
	want := []map[string]any{
		{"epoch": epoch, "n": "1", "kind": "key", "id": "k1"},
		{"epoch": epoch, "n": "2", "kind": "consumer", "id": "acme"},
	}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestAnnounceRefuses(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	for _, c := range []store.Change{
		{},
		{Kind: "keys", ID: "k1"},
		{Kind: store.KeyChanged},
		{Kind: store.KeyChanged, ID: "a b"},
		{Kind: store.ConsumerChanged, ID: strings.Repeat("x", 129)},
		{Kind: store.TokenChanged},
		{Kind: store.TokenChanged, ID: "a\nb"},
		{Kind: store.TokenChanged, ID: strings.Repeat("x", 513)},
		{Kind: store.EverythingChanged, ID: "k1"},
	} {
		if n, err := r.Announce(t.Context(), c); err == nil || n != 0 {
			t.Errorf("Announce(%+v) = %d, %v", c, n, err)
		}
	}
	if n := r.Client().Exists(t.Context(), changesLog).Val(); n != 0 {
		t.Error("something was announced")
	}
}

// The log keeps about 10,000 changes.
func TestAnnounceBounds(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	for i := range 10_500 {
		announce(t, r, store.KeyChanged, fmt.Sprint("k", i))
	}
	if n := r.Client().XLen(t.Context(), changesLog).Val(); n < 10_000 || n > 10_200 {
		t.Errorf("%d changes are kept", n)
	}
}

func TestReplicas(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	db := r.Client()
	now, err := db.Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	ago := func(d time.Duration) int64 { return now.Add(-d).UnixMilli() }
	db.HSet(t.Context(), "stile:{sys}:replicas",
		"one", fmt.Sprintf("12 %d a host", ago(4*time.Second)),
		"two", fmt.Sprintf("11 %d ", ago(9*time.Minute)),
		"ahead", fmt.Sprintf("12 %d h", ago(-time.Hour)),
		"old", fmt.Sprintf("12 %d h", ago(11*time.Minute)),
		"odd", "what is this")
	list, err := r.Replicas(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, one := range list {
		got[one.ID] = fmt.Sprintf("%s|%d|%v", one.Host, one.Applied, one.Seen.Round(time.Minute/6))
	}
	want := map[string]string{"one": "a host|12|0s", "two": "|11|9m0s", "ahead": "h|12|0s"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("replicas (-want +got):\n%s", diff)
	}
	if n := db.HLen(t.Context(), "stile:{sys}:replicas").Val(); n != 3 {
		t.Errorf("%d are kept", n)
	}
}

func TestWaitApplied(t *testing.T) {
	server := storetest.StartRedis(t)
	r := openRedis(t, server)
	if slow, err := r.WaitApplied(t.Context(), 1); err != nil || len(slow) > 0 {
		t.Errorf("without replicas: %+v, %v", slow, err)
	}
	leave := make(chan struct{})
	one := follow(t, openRedis(t, server), store.FollowerOptions{})
	two := follow(t, openRedis(t, server), store.FollowerOptions{Apply: func(store.Change) { <-leave }})
	n := announce(t, r, store.KeyChanged, "k1")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	slow, err := r.WaitApplied(ctx, n)
	if err != nil || len(slow) != 1 || slow[0].ID != two.ID() {
		t.Errorf("slow: %+v, %v; it is %s, and not %s", slow, err, two.ID(), one.ID())
	}
	close(leave)
	waitApplied(t, r, n)

	server.Kill()
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if slow, err := r.WaitApplied(ctx, n); err == nil {
		t.Errorf("without a server: %+v", slow)
	}
}

// What was applied of another log counts for nothing while everything is being forgotten.
func TestWaitAppliedOfAnotherEpoch(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	leave, resets := make(chan struct{}), make(chan struct{}, 9)
	rep := follow(t, r, store.FollowerOptions{Reset: func() {
		resets <- struct{}{}
		if len(resets) == 2 {
			<-leave
		}
	}})
	n := announce(t, r, store.KeyChanged, "k1")
	waitApplied(t, r, n)
	r.Client().Set(t.Context(), "stile:{sys}:epoch", "another", 0)
	storetest.Eventually(t, "it begins to forget", func() bool { return len(resets) == 2 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	slow, err := r.WaitApplied(ctx, n)
	if err != nil || len(slow) != 1 || slow[0].ID != rep.ID() || slow[0].Applied != 0 {
		t.Errorf("slow: %+v, %v", slow, err)
	}
	close(leave)
	waitApplied(t, r, n)
}
