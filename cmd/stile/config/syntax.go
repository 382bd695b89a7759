package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a configuration in bytes.
const maxFile = 16 << 20

const noAnchors = "anchors and aliases are not supported; text that begins with & or * is written in quotes"

// parseText makes a tree of a text that is one YAML document. The line is that of the
// error.
func parseText(data []byte) (root *yaml.Node, line int, err error) {
	if len(data) > maxFile {
		return nil, 1, fmt.Errorf("file is larger than %d MiB", maxFile>>20)
	}
	if line, ok := notUTF8(data); ok {
		return nil, line, errors.New("text is not UTF-8")
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err = decodeNode(d, &doc)
	switch {
	case errors.Is(err, io.EOF):
		return nil, 1, errors.New("file is empty")
	case err != nil:
		line, err = locate(data, err)
		return nil, line, err
	}
	root = doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" && root.Anchor == "" {
		return nil, 1, errors.New("file is empty")
	}
	err = decodeNode(d, &second)
	switch {
	case err == nil:
		return nil, second.Line, errors.New("a second document begins here; a configuration is one")
	case !errors.Is(err, io.EOF):
		line, err = locate(data, err)
		return nil, line, err
	}
	return root, 0, nil
}

// decodeNode reads the next document. The library panics at what its authors took to be
// impossible; a server that only tried to reload must outlive that.
func decodeNode(d *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the YAML library fails at this text")
		}
	}()
	return d.Decode(into)
}

// notUTF8 finds the line of the first byte that is not UTF-8.
func notUTF8(data []byte) (line int, found bool) {
	if utf8.Valid(data) {
		return 0, false
	}
	line = 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			return line, true
		}
		if r == '\n' {
			line++
		}
		data = data[size:]
	}
	return line, true
}

// locate takes the line out of the library's message and finds a better one. The library
// tells where the structure around a mistake begins, or the line before that, or nothing.
// It is right about a quote that is not closed.
func locate(data []byte, err error) (line int, _ error) {
	line, text := splitLine(err)
	if line == 0 || text != "found unexpected end of stream" {
		line = lineOf(data, text)
	}
	return line, errors.New(plainly(text))
}

// plainly says in a configuration's words what the library says in a parser's. The name
// of an anchor may be a secret that begins with a star and lacks its quotes.
func plainly(text string) string {
	switch {
	case strings.HasPrefix(text, "unknown anchor"):
		return noAnchors
	case text == "mapping values are not allowed in this context":
		return text + `; text with ": " in it or a colon at its end is written in quotes`
	case text == "did not find expected node content":
		return text + "; text that begins with a sign such as : or % is written in quotes"
	}
	return text
}

// splitLine takes "yaml: line 3: text" apart.
func splitLine(err error) (line int, text string) {
	text = strings.TrimPrefix(err.Error(), "yaml: ")
	number, rest, ok := strings.Cut(strings.TrimPrefix(text, "line "), ": ")
	if n, err := strconv.Atoi(number); ok && err == nil {
		return n, rest
	}
	return 0, text
}

// lineOf finds the line of a mistake: the last that is needed to make it. The library
// reads a little ahead of it, so lines are taken away from those that it had read.
func lineOf(data []byte, text string) int {
	r := &lineReader{rest: data}
	_ = readDocuments(r) // fails, as it did before
	line, end := r.line, len(data)-len(r.rest)
	const most = 4 << 20 // bytes to read again; a list over many lines needs a try for each
	for budget := most; budget > 0 && line > 1; line-- {
		end = bytes.LastIndexByte(data[:end-1], '\n') + 1
		budget -= end
		if _, again := splitLine(readDocuments(bytes.NewReader(data[:end]))); again != text {
			break
		}
	}
	return max(line, 1)
}

// readDocuments reads to the end or to a mistake.
func readDocuments(r io.Reader) error {
	for d := yaml.NewDecoder(r); ; {
		var doc yaml.Node
		if err := decodeNode(d, &doc); err != nil {
			return err
		}
	}
}

// lineReader gives the library a line at a time at most, to see where it stops.
type lineReader struct {
	rest   []byte
	line   int  // how many were begun
	within bool // a line that did not fit
}

func (r *lineReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	if !r.within {
		r.line++
	}
	n := bytes.IndexByte(r.rest, '\n') + 1
	if n == 0 {
		n = len(r.rest)
	}
	n = copy(p, r.rest[:n])
	r.within = r.rest[n-1] != '\n'
	r.rest = r.rest[n:]
	return n, nil
}
