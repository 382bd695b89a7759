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
	kinds   int    // how many different requests there are
	admin   string // address of its admin API, with the profile of its processor time
	against string // name of the bare case that it is held against; "" for a bare one
	bar     float64
	log     string // its decision log, when on

	results []result
	sent    int
}

// measureDecisions runs every case in turn, again and again, and prints the ratios.
func measureDecisions(ctx context.Context, cases []*testCase, rounds int, took time.Duration) error {
	for round := -1; round < rounds; round++ {
		order := slices.Clone(cases)
		if round%2 != 0 { // so that none is always the one behind the bare handler
			slices.Reverse(order)
		}
		for _, c := range order {
			l := load{connections: connections, request: c.request}
			if round < 0 {
				l.least = c.kinds // each key and token once, so that what is measured is warm
			}
			r, err := l.run(ctx, c.address, took)
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
	if rounds > 0 {
		printDecisions(cases, rounds, took)
	}
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
		bar := ""
		if c.bar > 0 {
			bar = fmt.Sprintf("≥ %.2f", c.bar)
		}
		fmt.Printf("| %s | %.0f | **%.2f** | %s | %s | %s | %.2f |\n", c.name, perSecond, ratio, bar, p50, p99, tail)
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
