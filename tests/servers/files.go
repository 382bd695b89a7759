package servers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Program is the path of a program that tests may need. One that is missing skips the test,
// but not where CI has promised it.
func Program(t testing.TB, program string) string {
	t.Helper()
	if path, err := lookPath(program); err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed, and CI=true", program)
	}
	t.Skipf("SKIP: %s is not installed", program)
	return ""
}

// lookPath looks where Debian puts servers, too; that is not on everybody's PATH.
func lookPath(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path, nil
		}
	}
	return "", err
}

// place copies the files of a folder, as they are but for the replacements, which are
// pairs of old and new text. Old text that stands nowhere is an error: the file has
// changed and the test no longer knows what it runs.
func place(t testing.TB, from, to string, replacements []string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(from, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(replacements); i += 2 {
			found[replacements[i]] = found[replacements[i]] || strings.Contains(string(text), replacements[i])
		}
		replaced := strings.NewReplacer(replacements...).Replace(string(text))
		if err := os.WriteFile(filepath.Join(to, entry.Name()), []byte(replaced), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < len(replacements); i += 2 {
		if !found[replacements[i]] {
			t.Fatalf("no file of %s holds %q", from, replacements[i])
		}
	}
}
