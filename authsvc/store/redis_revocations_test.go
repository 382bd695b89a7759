package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

func TestMemoryRevocations(t *testing.T) {
	storetest.RunRevocations(t, func(testing.TB) storetest.RevocationStore {
		m := store.NewMemory()
		m.Now = storetest.Clock
		return m
	})
}

func TestMemoryForgetsRevocations(t *testing.T) {
	m := store.NewMemory()
	now := storetest.Clock()
	m.Now = func() time.Time { return now }
	token := storetest.Token("t1", "", "")
	if err := m.Revoke(t.Context(), store.Revocation{Issuer: token.Issuer, JTI: "t1", Until: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{time.Hour - 1, true}, {time.Hour, false}} {
		now = storetest.Clock().Add(tt.after)
		if is, err := m.Revoked(t.Context(), token); is != tt.want || err != nil {
			t.Errorf("after %v: %v, %v", tt.after, is, err)
		}
	}
}

func TestRedisRevocations(t *testing.T) {
	server := storetest.StartRedis(t)
	storetest.RunRevocations(t, func(t testing.TB) storetest.RevocationStore {
		return opener(server)(t).(*store.Redis)
	})
}

// Keys have no text of the token in them, and expire, the later time winning.
func TestRedisRevocationKeys(t *testing.T) {
	r := openRedis(t, storetest.StartRedis(t))
	ctx, db := t.Context(), r.Client()
	now := storetest.Clock()
	rev := store.Revocation{Issuer: "https://id.example.com", Subject: "alice", IssuedBefore: now}
	for _, hours := range []time.Duration{48, 24} {
		rev.Until = now.Add(hours * time.Hour)
		if err := r.Revoke(ctx, rev); err != nil {
			t.Fatal(err)
		}
	}
	names := db.Keys(ctx, "stile:revoked:*").Val()
	if len(names) != 1 || db.DBSize(ctx).Val() != 2 || names[0] != "stile:revoked:"+rev.Name() || !strings.HasPrefix(rev.Name(), "sub:") || len(rev.Name()) != len("sub:")+64 {
		t.Fatalf("keys %q", names)
	}
	if left := db.PTTL(ctx, names[0]).Val(); left < 47*time.Hour || left > 48*time.Hour {
		t.Errorf("it stays for %v, want 48h", left)
	}
	if listed := db.ZRange(ctx, "stile:{sys}:revoked", 0, -1).Val(); len(listed) != 1 || listed[0] != rev.ID() {
		t.Errorf("listed %q", listed)
	}
	token := storetest.Token("", "alice", "")
	db.Set(ctx, names[0], "x", time.Hour)
	if is, err := r.Revoked(ctx, token); is || !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a value that is no time: %v, %v", is, err)
	}
	db.PExpire(ctx, names[0], time.Millisecond)
	storetest.Eventually(t, "it is forgotten", func() bool {
		is, err := r.Revoked(ctx, token)
		return !is && err == nil
	})
}
