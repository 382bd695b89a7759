package store_test

import (
	"strings"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
)

func TestFileOf(t *testing.T) {
	for url, want := range map[string]string{
		"file:stile.db": "stile.db", "file:/var/lib/stile.db": "/var/lib/stile.db", "file:///var/lib/stile.db": "/var/lib/stile.db",
		"file:a b%20?#.db": "a b%20?#.db", "file:": "", "file://host/x": "//host/x",
	} {
		if got, ok := store.FileOf(url); got != want || !ok {
			t.Errorf("%s: %q, %v, want %q", url, got, ok, want)
		}
	}
	for _, url := range []string{"", "memory:", "redis://h", "stile.db", "FILE:x"} {
		if got, ok := store.FileOf(url); ok {
			t.Errorf("%s is the file %q", url, got)
		}
	}
}

func TestCheckURL(t *testing.T) {
	for url, want := range map[string]string{
		"memory:": "", "file:stile.db": "", "redis://h": "", "rediss+cluster://a,b": "",
		"memory:x": "nothing behind it", "memory://": "nothing behind it", "": "no such kind", "stile.db": "no such kind", "etcd://h": "no such kind",
		"file:": "names no file", "file://host/x": "no host",
		"redis:h": "begins with redis://", "redis://u:s3cret@h:x": "port",
	} {
		err := store.CheckURL(url)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}
