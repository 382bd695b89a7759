package store_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// many are the records of consumers with a key each, in the order of a dump.
func many(from, to int) (records []store.Record) {
	for i := from; i < to; i++ {
		c := storetest.Consumer(fmt.Sprintf("c%06d", i), "partners")
		c.CustomID, c.Version, c.Created, c.Updated = fmt.Sprintf("customer %d", i), 1, storetest.Clock(), storetest.Clock()
		records = append(records, store.Record{Consumer: &c})
	}
	for i := from; i < to; i++ {
		k := storetest.Key(fmt.Sprintf("k%06d", i), fmt.Sprintf("c%06d", i))
		records = append(records, store.Record{Key: &k})
	}
	return records
}

// loadAll puts records into a store, some at a time, as one who moves from another store does.
func loadAll(t testing.TB, to store.Loader, records []store.Record, atOnce int) {
	t.Helper()
	for len(records) > 0 {
		n := min(len(records), atOnce)
		problems, err := to.Load(t.Context(), records[:n])
		if err != nil {
			t.Fatal(err)
		}
		for i, problem := range problems {
			if problem != nil {
				t.Fatalf("%+v: %v", records[i], problem)
			}
		}
		records = records[n:]
	}
}

func BenchmarkFileLoad(b *testing.B) {
	for _, atOnce := range []int{500, 1000, 5000, 20_000} {
		b.Run(fmt.Sprint(atOnce), func(b *testing.B) {
			records := many(0, 100_000)
			for b.Loop() {
				f := openFile(b)
				loadAll(b, f, records, atOnce)
			}
			b.ReportMetric(float64(len(records)*b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func BenchmarkFileCreateConsumer(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			f := openFile(b)
			loadAll(b, f, many(0, 10_000), 5000)
			var next atomic.Int64
			b.SetParallelism(max(1, writers/runtime.GOMAXPROCS(0)))
			if writers == 1 {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			}
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := f.CreateConsumer(b.Context(), storetest.Consumer(fmt.Sprint("new", next.Add(1)))); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
		})
	}
}

func BenchmarkFileCredential(b *testing.B) {
	f := openFile(b)
	loadAll(b, f, many(0, 10_000), 5000)
	hash := storetest.Hash("k004711")
	b.ReportAllocs()
	for b.Loop() {
		if found, err := f.Credential(b.Context(), hash); found == nil || err != nil {
			b.Fatal(found, err)
		}
	}
}

func BenchmarkFileSpend(b *testing.B) {
	f := openFile(b)
	charge := storetest.Charge(storetest.Slow("l", 1<<20))
	b.ReportAllocs()
	for b.Loop() {
		storetest.Spend(b, f, charge)
	}
}
