package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// run executes a command line in this process.
func run(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, told bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&told)
	err = root.ExecuteContext(t.Context())
	return out.String(), told.String(), err
}

func filledFile(t *testing.T, n int) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "stile.db")
	f, err := store.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	problems, err := f.Load(t.Context(), storetest.Records(n))
	if err := errors.Join(append(problems, err, f.Close())...); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStoreCopyToRedisAndBack(t *testing.T) {
	path, server := filledFile(t, 100), storetest.StartRedis(t)
	back := "file:" + filepath.Join(t.TempDir(), "back.db")
	for _, between := range [][2]string{{"file:" + path, server.URL}, {server.URL + "/0", back}, {back, "file://" + path}} {
		out, told, err := run(t, "store", "copy", "--from", between[0], "--to", between[1], "--json")
		var report store.Report
		if err := errors.Join(err, json.Unmarshal([]byte(out), &report)); err != nil || !report.Verified || report.Refused() > 0 {
			t.Fatalf("%s: %v\n%s%s", between, err, out, told)
		}
		for _, kind := range report.Kinds { // the revocations end a day after a clock that stands
			if kind.Source != 100 && kind.Kind != "revocations" {
				t.Errorf("%s: %+v", between, kind)
			}
		}
	}
}

func TestStoreCopyOfTheSame(t *testing.T) {
	server := storetest.StartRedis(t)
	other := strings.Replace(server.URL, "127.0.0.1", "localhost", 1) + "/0"
	if _, _, err := run(t, "store", "copy", "--from", server.URL, "--to", other); !errors.Is(err, errSameStore) || exitCode(err) != exitMisused {
		t.Errorf("the same by another name: %v", err)
	}
	if out, _, err := run(t, "store", "copy", "--from", server.URL, "--to", other[:len(other)-1]+"1"); err != nil {
		t.Errorf("another database: %v\n%s", err, out)
	}
	path := filledFile(t, 1)
	if _, _, err := run(t, "store", "copy", "--from", "file:"+path, "--to", "file://"+path); !errors.Is(err, errSameStore) {
		t.Errorf("the same file: %v", err)
	}
}

// A destination that goes away breaks it off, and then it can be run again.
func TestStoreCopyBrokenOff(t *testing.T) {
	path, server := filledFile(t, 100), storetest.StartRedis(t, "--maxmemory", "1500000")
	copyIt := func() (stdout, stderr string, err error) {
		return run(t, "store", "copy", "--from", "file:"+path, "--to", server.URL+"?read_timeout=5s")
	}
	out, _, err := copyIt()
	if err == nil || !strings.Contains(err.Error(), "OOM") || !strings.HasSuffix(err.Error(), "\nIt broke off; run it again to go on") || strings.Contains(out, "alike") {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := server.Admin().ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if out, told, err := copyIt(); err != nil || strings.Count(out, "alike") != 5 {
		t.Errorf("%v\n%s%s", err, out, told)
	}
}

func TestUnhurried(t *testing.T) {
	const all = "dial_timeout=10s&read_timeout=10s&write_timeout=10s&pool_timeout=10s"
	for url, want := range map[string]string{
		"file:/a?b":                      "file:/a?b",
		"redis://h":                      "redis://h?" + all,
		"rediss+cluster://h/?ca_file=/x": "rediss+cluster://h/?ca_file=/x&" + all,
		"redis://h?pool_timeout=1s&read_timeout=2s": "redis://h?pool_timeout=1s&read_timeout=2s&dial_timeout=10s&write_timeout=10s",
	} {
		if got := unhurried(url); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}
