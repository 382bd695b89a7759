package config_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stile-gate/stile/cmd/stile/config"
)

// TestSyntax covers what is wrong with a file as a whole. Each text has one mistake.
func TestSyntax(t *testing.T) {
	long := "# " + strings.Repeat("x", 2000) + "\n"
	for _, test := range []struct{ text, want string }{
		{"", "1: file is empty"},
		{"\n# nothing\n", "1: file is empty"},
		{"---\n", "1: file is empty"},
		{"~", "1: file is empty"},
		{"{}", "1: an empty mapping does nothing; leave it out"},
		{"text", "1: expected a mapping, found a string"},
		{"- a\n", "1: expected a mapping, found a list"},
		{"log: { level: info }\n---\nlog: {}\n", "2: a second document begins here; a configuration is one"},
		{"log: { level: info }\n---\n@\n", "3: found character that cannot start any token"},
		{"log: {}\nx: \xff\n", "2: text is not UTF-8"},
		{"a: 1\nb: \x01\nc: 3\nd: 1\n", "2: control characters are not allowed"},
		{"\tx: 1\ny: 1\n", "1: found character that cannot start any token"},
		{"a:\n  b: 1\n\tc: 3\nd: 1\n", "3: found a tab character that violates indentation"},
		{"a:\n  - x: 1\n    y: 2\n   z: 3\nb: 1\n", "4: did not find expected '-' indicator"},
		{long + "a: 1\nb: 2\n- c\nd: 1\n", "4: did not find expected key"},
		{"a: 1\nb: 2\n]\nc: 3\n\n#\n\nd: 1\n", "3: did not find expected key"},
		{"a: 1\nb: 'x\nc: 3\n", "2: found unexpected end of stream"},
		{"a: 1\nb: [x, y\nc: 3\nd: 1\n", "2: did not find expected ',' or ']'"},
		{"a: 1\nno key\nc: 3\n", "2: could not find expected ':'"},
		{"a: 1\nb: *hunter2\n", "2: anchors and aliases are not supported; text that begins with & or * is written in quotes"},
		{"listen: { auth: :4180 }\nb: 1\n", "1: did not find expected node content; text that begins with a sign such as : or % is written in quotes"},
		{"a: 1\nstore: memory:\n", `2: mapping values are not allowed in this context; text with ": " in it or a colon at its end is written in quotes`},
	} {
		_, problems := config.Parse("stile.yaml", []byte(test.text), nil)
		if len(problems) == 0 {
			t.Errorf("%.40q: no problem, want %s", test.text, test.want)
			continue
		}
		if got, want := problems[0].Error(), "stile.yaml:"+test.want; got != want {
			t.Errorf("%.40q:\n got %s\nwant %s", test.text, got, want)
		}
	}
}

func TestTooLarge(t *testing.T) {
	path := t.TempDir() + "/stile.yaml"
	if err := os.WriteFile(path, bytes.Repeat([]byte("# x\n"), 4<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	c, problems := config.Load(path, nil)
	if c != nil || problems.Error() != path+": larger than 16 MiB" {
		t.Errorf("got %v", problems)
	}
	c, problems = config.Parse("x", make([]byte, 16<<20+1), nil)
	if c != nil || problems.Error() != "x:1: file is larger than 16 MiB" {
		t.Errorf("got %v", problems)
	}
}

func TestCannotRead(t *testing.T) {
	folder := t.TempDir()
	for path, want := range map[string]string{
		folder + "/none": folder + "/none: no such file or directory",
		folder:           folder + ": is a directory",
	} {
		c, problems := config.Load(path, nil)
		if c != nil || problems.Error() != want {
			t.Errorf("got %v, want %s", problems, want)
		}
	}
}
