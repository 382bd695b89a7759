package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// maxParallel bounds what an import asks of a server that answers requests, too.
const maxParallel = 16

// importTimeout is for a call whose lines wait for those of other calls.
const importTimeout = time.Minute

// newImportTransport keeps the connections of all calls and comparisons.
func newImportTransport() http.RoundTripper {
	return &http.Transport{MaxIdleConnsPerHost: 2 * maxParallel, IdleConnTimeout: importTimeout, Proxy: http.ProxyFromEnvironment}
}

func newImport() *cobra.Command {
	var format string
	parallel := 8
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Import consumers and keys from JSON Lines or CSV", Args: takes(1, "a file, or - for standard input"),
		Long: `Sends each line to the admin API: a consumer, or a key with its hash or (opaque) its text.
A key may stand before or behind other consumers, but not before its own.

  {"kind":"consumer","id":"acme","username":"Acme Ltd","groups":["partners"]}
  {"kind":"key","consumer":"acme","id":"old-1","hash":"sha256:…","scopes":["orders:read"]}
  {"kind":"key","consumer":"acme","opaque":true,"key":"a key of another system"}

The fields are those of POST /v1/consumers and POST /v1/keys. A CSV file names them in its
first line and writes lists with ; between. What is there already with the same content is
left as it is, so an import that broke off goes on when it is run again.`,
		Example: `  stile import consumers.jsonl
  zcat consumers.csv.gz | stile import - --format csv`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if parallel < 1 || parallel > maxParallel {
				return &misuseError{fmt.Errorf("--parallel %d is not from 1 to %d", parallel, maxParallel)}
			}
			return importFile(cmd, args[0], format, parallel)
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "jsonl or csv (default by the file's name)")
	fill(cmd, "format")
	cmd.Flags().IntVar(&parallel, "parallel", parallel, "how many calls at a time, up to 16")
	adminFlags(cmd)
	return cmd
}

func importFile(cmd *cobra.Command, path, format string, parallel int) error {
	p, err := newPrinter(cmd)
	if err != nil {
		return err
	}
	client, err := newAdminClient(cmd)
	if err != nil {
		return err
	}
	client.http.Timeout, client.http.Transport = importTimeout, newImportTransport()
	in, size, err := openImport(cmd, path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	bar := newProgress(cmd.ErrOrStderr(), size)
	defer bar.end()
	from, err := recordsOf(bar.counting(in), path, format)
	if err != nil {
		return err
	}
	im := newImporter(client, filepath.Base(path), bar.printf)
	broken := im.run(cmd.Context(), from, parallel)
	if p.json {
		err = json.NewEncoder(p.w).Encode(im.counts)
	} else {
		_, err = fmt.Fprintf(p.w, "Imported %d, already there %d, refused %d.\n", im.counts.Imported, im.counts.There, im.counts.Refused)
	}
	switch {
	case broken != nil:
		return fmt.Errorf("%w\nIt broke off; run it again to go on", broken)
	case err == nil && im.counts.Refused > 0:
		return &toldError{exitFailed}
	}
	return err
}

// openImport opens a file, or standard input for "-"; its size is 0 when it is not known.
func openImport(cmd *cobra.Command, path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(cmd.InOrStdin()), 0, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

func recordsOf(in io.Reader, path, format string) (records, error) {
	if format == "" {
		format = strings.TrimPrefix(filepath.Ext(path), ".")
	}
	switch format {
	case "jsonl", "ndjson":
		return newJSONLines(in), nil
	case "csv":
		lines, err := newCSVLines(in)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
		return lines, nil
	}
	return nil, &misuseError{errors.New("the file's name does not tell its form; say --format jsonl or --format csv")}
}
