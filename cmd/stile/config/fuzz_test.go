package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stile-gate/stile/cmd/stile/config"
)

// FuzzParse: no text panics, every problem has a line of the file, and the same text has
// the same problems. Nothing else is loaded than what has no errors.
func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(paths) == 0 {
		f.Fatal("no testdata", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	form := regexp.MustCompile(`^stile\.yaml:[1-9][0-9]*: [^\n]+$`)
	f.Fuzz(func(t *testing.T, data []byte) {
		files := regexp.MustCompile(`\$\{file:`)
		data = files.ReplaceAll(data, []byte("${fuzz:")) // leave the disk alone
		c, problems := config.Parse("stile.yaml", data, []string{"A=a"})
		if c == nil && problems.Err() == nil {
			t.Fatal("neither a configuration nor an error")
		}
		for _, p := range problems {
			if !form.MatchString(p.Error()) {
				t.Errorf("problem has no line: %q", p.Error())
			}
		}
		if _, again := config.Parse("stile.yaml", data, []string{"A=a"}); again.Error() != problems.Error() {
			t.Errorf("the same text has other problems:\n%v\n---\n%v", problems, again)
		}
	})
}
