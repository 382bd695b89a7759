package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const adminToken = "a token for the bench alone"

// recordProfile writes the processor profile of Stile under all of its loads to a file, for
// the compiler to optimise a release by (go build -pgo).
func recordProfile(ctx context.Context, dir string, cases []*testCase, to string) error {
	var parts []string
	for i, c := range cases {
		if c.admin == "" {
			continue
		}
		part := filepath.Join(dir, fmt.Sprintf("%d.pprof", i))
		recorder := exec.CommandContext(ctx, "curl", "-sf", "-H", "Authorization: Bearer "+adminToken,
			"-o", part, "http://"+c.admin+"/debug/pprof/profile?seconds=4")
		if err := recorder.Start(); err != nil {
			return err
		}
		r, err := load{connections: connections, request: c.request}.run(ctx, c.address, 5*time.Second)
		if err != nil {
			return err
		}
		c.sent += r.count
		if err := recorder.Wait(); err != nil {
			return fmt.Errorf("profile of %s: %w", c.name, err)
		}
		parts = append(parts, part)
	}
	merged, err := exec.CommandContext(ctx, "go", append([]string{"tool", "pprof", "-proto"}, parts...)...).Output()
	if err != nil {
		return err
	}
	return os.WriteFile(to, merged, 0o644) //nolint:gosec // it is committed
}
