// Command bench measures stile against a bare Echo handler that answers with the same
// identity headers, side by side in one run, and prints the table of docs/performance.md.
//
// The servers run on one processor and the client on another, so that what is measured is
// the server; rounds of all are interleaved and the median of their ratios is taken, for
// the machines are small and noisy. Everything stays on loopback and ends by itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	bare := flag.String("bare", "", "serve the bare handler on this address (what bench starts as its other half)")
	rounds := flag.Int("rounds", 9, "interleaved rounds")
	took := flag.Duration("round", 2*time.Second, "length of one load")
	keys := flag.Int("keys", 100_000, "API keys in Redis")
	tokens := flag.Int("tokens", 10_000, "tokens to rotate through")
	scale := flag.Bool("scale", false, "compare a store of 1,000,000 consumers with one of 1,000, and measure nothing else")
	profile := flag.String("profile", "", "write a processor profile of Stile under load here, and measure nothing else")
	flag.Parse()
	var err error
	if *bare != "" {
		err = serveBare(*bare)
	} else {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		if *scale {
			err = runScale(ctx, *rounds, *took)
		} else {
			err = run(ctx, *rounds, *took, *keys, *tokens, *profile)
		}
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// newStage builds the binary; clear stops what was started.
func newStage(ctx context.Context) (s *stage, clear func(), err error) {
	dir, err := os.MkdirTemp("", "stile-bench-")
	if err != nil {
		return nil, nil, err
	}
	s = &stage{ctx: ctx, dir: dir}
	if s.binary, err = build(ctx, dir); err != nil {
		_ = os.RemoveAll(dir)
		return nil, nil, err
	}
	return s, func() { s.close(); _ = os.RemoveAll(dir) }, nil
}

func runScale(ctx context.Context, rounds int, took time.Duration) error {
	s, clear, err := newStage(ctx)
	if err != nil {
		return err
	}
	defer clear()
	return s.measureScale(ctx, rounds, took)
}

func run(ctx context.Context, rounds int, took time.Duration, keys, tokens int, profile string) error {
	stage, clear, err := newStage(ctx)
	if err != nil {
		return err
	}
	defer clear()
	fmt.Fprintf(os.Stderr, "filling Redis with %d keys, signing %d tokens\n", keys, tokens)
	cases, err := stage.prepare(keys, tokens)
	if err != nil {
		return err
	}
	if profile != "" {
		if err := measureDecisions(ctx, cases, 0, took); err != nil { // to warm up
			return err
		}
		return recordProfile(ctx, stage.dir, cases, profile)
	}
	if err := measureDecisions(ctx, cases, rounds, took); err != nil {
		return err
	}
	if err := stage.checkLog(cases); err != nil {
		return err
	}
	if err := measureStart(ctx, stage.dir, stage.binary); err != nil {
		return err
	}
	return microBenchmarks(ctx)
}

// build makes the binary as a release is made.
func build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "stile")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-pgo", "cmd/stile/release.pgo", "-ldflags", "-s -w", "-o", binary, "./cmd/stile")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return binary, cmd.Run()
}

// microBenchmarks runs those that stand beside the code.
func microBenchmarks(ctx context.Context) error {
	fmt.Println("\n| benchmark | ns/op | B/op | allocs/op |\n|---|---|---|---|")
	for _, b := range []struct{ pkg, pattern string }{
		{"./policy", "DecideAPIKey|Match"},
		{"./authsvc/authn", "JWT|RSA|APIKey"},
		{"./authsvc/store", "CredentialWarm|Spend|BareEvalsha"},
	} {
		out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", b.pattern, "-benchmem", b.pkg).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", b.pkg, err, out)
		}
		for line := range strings.Lines(string(out)) {
			fields := strings.Fields(line)
			if len(fields) < 8 || !strings.HasPrefix(line, "Benchmark") {
				continue
			}
			fmt.Printf("| %s %s | %s | %s | %s |\n", strings.TrimPrefix(b.pkg, "./"), fields[0], fields[2], fields[len(fields)-4], fields[len(fields)-2])
		}
	}
	return nil
}
