package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// useLog is a store of last uses that remembers what it was given, and can fail.
type useLog struct {
	mu      sync.Mutex
	failure error
	batches [][]store.Use
}

func (l *useLog) MarkUsed(_ context.Context, uses []store.Use) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches = append(l.batches, uses)
	return l.failure
}

func (l *useLog) take() [][]store.Use {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { l.batches = nil }()
	return l.batches
}

func TestLastUsedWritesAMinuteOnce(t *testing.T) {
	log := &useLog{}
	used := store.NewLastUsed(log)
	now := storetest.Clock()
	flush := func(want int) {
		t.Helper()
		err := used.Flush(t.Context(), now)
		if !errors.Is(err, log.failure) {
			t.Fatal(err)
		}
		got := 0
		for _, batch := range log.take() {
			got += len(batch)
		}
		if got != want {
			t.Errorf("%d uses written, want %d", got, want)
		}
	}
	for range 100 {
		used.Touch("acme", "k1", now)
		used.Touch("acme", "k2", now.Add(time.Second))
	}
	flush(2)
	flush(0)
	used.Touch("acme", "k1", now.Add(59*time.Second))
	used.Touch("acme", "k1", now.Add(-time.Minute)) // another request, which read the clock before
	flush(0)
	now = now.Add(time.Minute)
	used.Touch("acme", "k1", now)
	log.failure = errors.New("down")
	flush(1)
	log.failure = nil
	flush(1)
	flush(0)
}

func TestLastUsedIsBounded(t *testing.T) {
	log := &useLog{}
	used := store.NewLastUsed(log)
	now := storetest.Clock()
	for i := range 400_000 {
		used.Touch("acme", fmt.Sprint("k", i), now)
	}
	if err := used.Flush(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if n := len(log.take()[0]); n > 262_144 || n < 200_000 {
		t.Errorf("%d keys were remembered", n)
	}
	if err := used.Flush(t.Context(), now.Add(2*time.Minute)); err != nil { // which makes room
		t.Fatal(err)
	}
	used.Touch("acme", "another", now.Add(2*time.Minute))
	if err := used.Flush(t.Context(), now.Add(2*time.Minute)); err != nil || len(log.take()) != 1 {
		t.Errorf("there is no room again: %v", err)
	}
}

func TestLastUsedIsWrittenAtTheEnd(t *testing.T) {
	memory := store.NewMemory()
	if _, err := memory.CreateConsumer(t.Context(), storetest.Consumer("acme")); err != nil {
		t.Fatal(err)
	}
	if err := memory.CreateKey(t.Context(), storetest.Key("k1", "acme")); err != nil {
		t.Fatal(err)
	}
	used := store.NewLastUsed(memory)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		used.Run(ctx, func(err error) { t.Error(err) })
	}()
	now := time.Now()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { used.Touch("acme", "k1", now) })
	}
	wg.Wait()
	cancel()
	<-done
	k, err := memory.Key(t.Context(), "k1")
	if err != nil || !k.LastUsed.Equal(now.Truncate(time.Minute)) {
		t.Errorf("%+v, %v", k, err)
	}
}

func BenchmarkLastUsedTouch(b *testing.B) {
	used := store.NewLastUsed(&useLog{})
	now := storetest.Clock()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			used.Touch("acme", "k1", now)
		}
	})
}
