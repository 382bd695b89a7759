package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
)

func TestOpenRedis(t *testing.T) {
	for _, url := range []string{
		"redis://localhost", "redis://localhost:6379", "redis://localhost:6379/15", "redis://:pa%2Fss@[::1]:6379/0", "redis://h/",
		"rediss://user:pass@redis.example.com/1", "redis://localhost?pool_size=5&read_timeout=1s",
		"redis+sentinel://a,b:26380,[::1]/main", "rediss+sentinel://u:p@a/main/3?sentinel_user=s&sentinel_password=%40",
		"redis+cluster://a:7000,b:7000", "rediss+cluster://u:p@a?server_name=redis.example.com",
	} {
		r, err := store.OpenRedis(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		_ = r.Close()
	}
}

// An error says which part of a URL is wrong, and nothing of a password.
func TestOpenRedisRefused(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"":                                          "begins with redis://",
		"memory:":                                   "begins with redis://",
		"localhost:6379":                            "begins with redis://",
		"http://:s3cret@h":                          "begins with redis://",
		"redis+:://:s3cret@h":                       "begins with redis://",
		"redis+://:s3cret@h":                        "begins with redis://",
		"redis+ring://:s3cret@h":                    "begins with redis://",
		"sentinel+redis://:s3cret@h":                "begins with redis://",
		"redis://:s3cret@":                          "host 1 of the URL is empty",
		"redis:///0":                                "host 1 of the URL is empty",
		"redis+cluster://a,,b":                      "host 2 of the URL is empty",
		"redis://:x/s3cret@h:6379/0":                "%2F",
		"redis://:12/s3cret@h:6379/0":               "%2F",
		"redis://:x?s3cret@h:6379/0":                "%3F",
		"redis://u:12#s3cret@h":                     "%23",
		"redis://h/0#s3cret":                        "%23",
		"redis://:s3cret%zz@h":                      "%25",
		"redis://:s3cret@x@h":                       "%40",
		"redis://u:s3cret:x@h":                      "%3A",
		"redis://s3cret@h":                          "no password",
		"redis://u:@h":                              "no password",
		"redis://:s3cret@h:port":                    "host 1 of the URL has a port",
		"redis://u:s3cret":                          "host 1 of the URL has a port",
		"redis://h:0":                               "host 1 of the URL has a port",
		"redis://h:65536":                           "host 1 of the URL has a port",
		"redis+sentinel://a,b:x/m":                  "host 2 of the URL has a port",
		"redis://::1":                               "brackets",
		"redis://[::g]":                             "brackets",
		"redis://a,b":                               "several hosts",
		"redis://:s3cret@h/db0":                     "number of a database",
		"redis://:s3cret@h/0/1":                     "number of a database",
		"redis://:s3cret@h/999999":                  "number of a database",
		"redis+sentinel://h":                        "name the master",
		"redis+sentinel://h/main/x":                 "number of a database",
		"redis+cluster://h/0":                       "no path",
		"redis://:s3cret@h?pool_sise=5":             "pool_sise",
		"redis://:s3cret@h?pool_size=0":             "pool_size: must be",
		"redis://:s3cret@h?pool_size=1&pool_size=2": "pool_size twice",
		"redis://:s3cret@h?read_timeout=always":     "read_timeout: must be",
		"redis://:s3cret@h?dial_timeout=1h":         "dial_timeout: must be",
		"redis://h?sentinel_user=x":                 "sentinel_user",
		"redis+sentinel://h/m?sentinel_user=x":      "without sentinel_password",
		"redis://h?ca_file=x":                       "ca_file",
		"redis://h?%zz":                             "query",
		"rediss://h?ca_file=/no/such":               "/no/such",
		"rediss://h?ca_file=" + empty:               "no certificate",
		"rediss://h?cert_file=" + empty:             "go together",
		"rediss://h?cert_file=" + empty + "&key_file=" + empty: "cert_file and key_file",
	} {
		r, err := store.OpenRedis(url)
		if err == nil {
			t.Errorf("%s is accepted", url)
			_ = r.Close()
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
