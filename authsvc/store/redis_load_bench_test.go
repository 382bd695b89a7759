package store_test

import (
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
)

func BenchmarkRedisLoad(b *testing.B) {
	r := openUnhurried(b)
	records := many(0, 50_000)
	for b.Loop() {
		if err := r.Client().FlushAllAsync(b.Context()).Err(); err != nil {
			b.Fatal(err)
		}
		loadAll(b, r, records, 2000)
	}
	b.ReportMetric(float64(len(records)*b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkRedisDump(b *testing.B) {
	r := openUnhurried(b)
	loadAll(b, r, many(0, 50_000), 2000)
	records := 0
	for b.Loop() {
		if err := r.Dump(b.Context(), func(store.Record) error { records++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}
