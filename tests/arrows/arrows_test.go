// Package arrows checks the structure that docs/architecture.md promises.
package arrows

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/stile-gate/stile"

type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 7 {
		t.Fatalf("only %d packages: the listing does not see the module", len(all))
	}
	return all
}

const root = "../.."

func TestImportsFollowTheArrows(t *testing.T) {
	// What of the module each package may import. Tests are not bound by it.
	may := map[string][]string{
		"policy":             {},
		"authsvc/strictjson": {},
		"authsvc/store":      {"policy"},
		"authsvc/authn":      {"policy", "authsvc/store", "authsvc/strictjson"},
		"authsvc":            {"policy", "authsvc/store", "authsvc/strictjson"},
		"proxy":              {"policy"},
		"cmd/stile/config":   {"policy", "authsvc/store"},
		"cmd/stile":          {"policy", "authsvc", "authsvc/authn", "authsvc/store", "authsvc/strictjson", "proxy", "cmd/stile/config"},
	}
	seen := 0
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		allowed, ok := may[name]
		if strings.HasPrefix(name, "tests/") || name == "authsvc/store/storetest" {
			continue
		}
		if !ok {
			t.Errorf("package %s stands in no line of this table", name)
			continue
		}
		seen++
		for _, imported := range p.Imports {
			own, isOwn := strings.CutPrefix(imported, module+"/")
			switch {
			case isOwn && !slices.Contains(allowed, own):
				t.Errorf("%s imports %s", name, own)
			case !isOwn && name == "policy" && strings.Contains(strings.SplitN(imported, "/", 2)[0], "."):
				t.Errorf("policy imports %s, which is not of the standard library", imported)
			}
		}
	}
	if seen != len(may) {
		t.Errorf("%d packages seen, %d in the table", seen, len(may))
	}
}

func TestEchoStandsInOneFile(t *testing.T) {
	var files []string
	for _, p := range packages(t) {
		if strings.Contains(p.ImportPath, "/tests/") {
			continue
		}
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range f.Imports {
				if strings.Contains(i.Path.Value, "labstack/echo") {
					files = append(files, name)
				}
			}
		}
	}
	if !slices.Equal(files, []string{"server.go"}) {
		t.Errorf("Echo is imported by %v; its line ends soon, and one file makes moving on an afternoon", files)
	}
}

func TestNoFileIsOver400Lines(t *testing.T) {
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		if lines := bytes.Count(text, []byte("\n")); lines > 400 {
			t.Errorf("%s has %d lines", path, lines)
		}
		return nil
	})
	if err != nil || files < 50 {
		t.Fatalf("%d files read, %v", files, err)
	}
}
