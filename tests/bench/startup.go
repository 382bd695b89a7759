package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// measureStart reports the time from exec to ready with 1,000 routes, idle resident
// memory and the size of the binary.
func measureStart(ctx context.Context, dir, binary string) error {
	auth, err := freeAddress()
	if err != nil {
		return err
	}
	admin, err := freeAddress()
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "listen: { auth: %q, admin: %q }\ntrust: [127.0.0.0/8]\nstore: \"memory:\"\nauthenticators: { partner: { api_key: { header: X-API-Key } } }\nroutes:\n", auth, admin)
	for i := range 1000 {
		fmt.Fprintf(&b, "  - { name: route-%d, match: \"GET api.example.com/v1/service-%d/{id}\", authenticate: [partner], require: { groups: [partners] } }\n", i, i)
	}
	file := filepath.Join(dir, "routes.yaml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		return err
	}
	var took []time.Duration
	var resident string
	for range 9 {
		start := time.Now()
		cmd := exec.CommandContext(ctx, binary, "serve", "-c", file)
		if err := cmd.Start(); err != nil {
			return err
		}
		if err := waitFor(ctx, admin); err != nil {
			return err
		}
		took = append(took, time.Since(start))
		resident = residentMemory(cmd.Process.Pid)
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}
	slices.Sort(took)
	info, err := os.Stat(binary)
	if err != nil {
		return err
	}
	fmt.Printf("\n| | measured | bar |\n|---|---|---|\n| start to ready, 1,000 routes, median of 9 | %s | 50 ms |\n| idle resident memory | %s | 30 MiB |\n| binary | %.1f MiB | 40 MiB |\n",
		took[len(took)/2].Round(100*time.Microsecond), resident, float64(info.Size())/(1<<20))
	return nil
}

// residentMemory is VmRSS of a process.
func residentMemory(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "not known here"
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var kib float64
			if _, err := fmt.Sscan(rest, &kib); err == nil {
				return fmt.Sprintf("%.1f MiB", kib/1024)
			}
		}
	}
	return "not known here"
}
