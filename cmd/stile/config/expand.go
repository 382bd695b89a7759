package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxIncluded bounds a file named by ${file:…}, in bytes.
const maxIncluded = 1 << 20

// expander puts values in place of ${NAME} and ${file:path}.
type expander struct {
	environ map[string]string
	folder  string            // that relative paths begin at
	read    map[string]string // what was read, by path
	files   []string          // every path that was named
}

// expands tells whether a scalar is written with ${. Text of an environment variable is
// taken as it is.
func expands(n *yaml.Node) bool { return n.Line > 0 && strings.Contains(n.Value, "${") }

// expand replaces every ${…} in text; $${ stands for ${. What was put in is not looked at
// again. An error never holds it.
func (e *expander) expand(text string) (string, error) {
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			return b.String() + text, nil
		}
		if i > 0 && text[i-1] == '$' {
			b.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		b.WriteString(text[:i])
		reference, rest, closed := strings.Cut(text[i+2:], "}")
		if !closed {
			return "", errors.New("${ without }; a ${ that is meant so is written $${")
		}
		value, err := e.value(reference)
		if err != nil {
			return "", err
		}
		b.WriteString(value)
		text = rest
	}
}

func (e *expander) value(reference string) (string, error) {
	if path, ok := strings.CutPrefix(reference, "file:"); ok {
		return e.file(path)
	}
	if !isVariable(reference) {
		return "", fmt.Errorf("%s is neither ${NAME} nor ${file:path}", quote("${"+reference+"}"))
	}
	value, ok := e.environ[reference]
	if !ok {
		return "", fmt.Errorf("environment variable %s is not set", reference)
	}
	return value, nil
}

func isVariable(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// file reads a file once, without one newline at its end.
func (e *expander) file(path string) (string, error) {
	if path == "" {
		return "", errors.New("${file:} names no file")
	}
	full := e.absolute(path)
	if !slices.Contains(e.files, full) {
		e.files = append(e.files, full)
	}
	if text, ok := e.read[full]; ok {
		return text, nil
	}
	data, err := readIncluded(full)
	if err != nil {
		return "", fmt.Errorf("file %s: %w", quote(path), err)
	}
	text := string(data)
	if line, ok := strings.CutSuffix(text, "\n"); ok {
		text = strings.TrimSuffix(line, "\r")
	}
	e.read[full] = text
	return text, nil
}

// absolute reads a path as one that begins at the configuration's folder.
func (e *expander) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(e.folder, path)
}

// readIncluded takes regular files only: a load must not wait for the end of a pipe.
func readIncluded(path string) ([]byte, error) {
	if err := checkFile(path); err != nil {
		return nil, err
	}
	return readFile(path, maxIncluded)
}

// checkFile tells whether there is a regular file. Its errors leave out the path.
func checkFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return withoutPath(err)
	case !info.Mode().IsRegular():
		return errors.New("not a regular file")
	}
	return nil
}

// readFile reads a file of a bounded size. Its errors leave out the path.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("larger than %d MiB", limit>>20)
	}
	return data, nil
}

func withoutPath(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}
