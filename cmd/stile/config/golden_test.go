package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-gate/stile/cmd/stile/config"
)

var update = flag.Bool("update", false, "write testdata/*.errors as they are now")

// TestGolden loads every testdata/*.yaml, with the environment that its comments give, and
// compares the problems with the .errors file beside it; an empty one wants none.
func TestGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, problems := config.Load(path, environOf(t, path))
			got := ""
			for _, p := range problems {
				got += strings.TrimPrefix(p.Error(), "testdata/") + "\n"
			}
			if strings.Contains(got, "hunter2") {
				t.Error("a problem shows a secret or an expanded value")
			}
			golden := strings.TrimSuffix(path, ".yaml") + ".errors"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// environOf reads lines of the form "# env: NAME=value".
func environOf(t *testing.T, path string) (environ []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^# env: (.*)$`).FindAllStringSubmatch(string(data), -1) {
		environ = append(environ, m[1])
	}
	return environ
}
