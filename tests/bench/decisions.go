package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// connections is how many a busy edge keeps open to its sidecar.
const connections = 64

// testCase is one server under one kind of request.
type testCase struct {
	name    string
	address string
	request func(i int) []byte
	against string // name of the bare case that it is held against; "" for a bare one
	bar     float64
	log     string // its decision log, when on

	results []result
	sent    int
}

// measureDecisions runs every case in turn, again and again, and prints the ratios.
func measureDecisions(ctx context.Context, cases []*testCase, rounds int, took time.Duration) error {
	warm := 3 * time.Second // each key and token once, so that what is measured is warm
	for round := -1; round < rounds; round++ {
		length := took
		if round < 0 {
			length = warm
		}
		for _, c := range cases {
			r, err := load{connections, c.request}.run(ctx, c.address, length)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.sent += r.count
			if round >= 0 {
				c.results = append(c.results, r)
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
	}
	printDecisions(cases, rounds, took)
	return nil
}

func printDecisions(cases []*testCase, rounds int, took time.Duration) {
	fmt.Printf("%d connections, %d interleaved rounds of %s, medians; ratios are of the same round.\n\n", connections, rounds, took)
	fmt.Println("| case | decisions/s | ratio to bare Echo | bar | p50 | p99 | p99 ratio |\n|---|---|---|---|---|---|---|")
	byName := map[string]*testCase{}
	for _, c := range cases {
		byName[c.name] = c
		perSecond := median(c.results, func(r result) float64 { return r.perSecond })
		p50 := time.Duration(median(c.results, func(r result) float64 { return float64(r.p50) }))
		p99 := time.Duration(median(c.results, func(r result) float64 { return float64(r.p99) }))
		base, ok := byName[c.against]
		if !ok {
			fmt.Printf("| %s | %.0f | 1 | | %s | %s | 1 |\n", c.name, perSecond, p50, p99)
			continue
		}
		ratio := medianRatio(c, base, func(r result) float64 { return r.perSecond })
		tail := medianRatio(c, base, func(r result) float64 { return float64(r.p99) })
		fmt.Printf("| %s | %.0f | **%.2f** | ≥ %.2f | %s | %s | %.2f |\n", c.name, perSecond, ratio, c.bar, p50, p99, tail)
	}
}

func median(results []result, of func(result) float64) float64 {
	values := make([]float64, len(results))
	for i, r := range results {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// medianRatio compares round by round: what slows the machine slows both.
func medianRatio(c, base *testCase, of func(result) float64) float64 {
	values := make([]float64, len(c.results))
	for i := range c.results {
		values[i] = of(c.results[i]) / of(base.results[i])
	}
	slices.Sort(values)
	return values[len(values)/2]
}
