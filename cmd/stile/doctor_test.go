package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// doctor looks at a store, and answers with what code stile would end.
func doctor(t *testing.T, url string, flags ...string) (printed string, code int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stile.yaml")
	text := "listen: { auth: '127.0.0.1:4180' }\ntrust: [127.0.0.0/8]\nstore: '" + url + "'\nroutes: [{ name: open, match: GET /, public: for a test }]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	root := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs(append([]string{"doctor", "store", "-c", path}, flags...))
	err := root.ExecuteContext(t.Context())
	if err == nil {
		return out.String(), 0
	}
	if told := new(toldError); !errors.As(err, &told) {
		t.Errorf("it says %v beside what it printed", err)
	}
	return out.String(), exitCode(err)
}

func TestDoctorStore(t *testing.T) {
	server := storetest.StartRedis(t, "--appendonly", "yes", "--requirepass", "s3cret")
	url := "redis://:s3cret@" + server.Addr
	printed, code := doctor(t, url)
	if code != 0 || strings.Contains(printed, "s3cret") || !strings.Contains(printed, "\nok    persistence  AOF is on") {
		t.Errorf("%d, %s", code, printed)
	}

	evicts, code := doctor(t, "redis://"+storetest.StartRedis(t, "--maxmemory-policy", "allkeys-lru").Addr)
	if code != exitFailed || !strings.Contains(evicts, "\nfail  eviction     maxmemory-policy allkeys-lru") {
		t.Errorf("%d, %s", code, evicts)
	}
	all := strings.Split(strings.TrimSuffix(evicts, "\n"), "\n")
	for _, line := range all[:len(all)-1] {
		if strings.HasPrefix(line, "ok ") == strings.Contains(line, " -> ") {
			t.Errorf("what to change stands where all is well, or does not where it is not: %s", line)
		}
	}
}

// Where there are several servers, each line says which.
func TestDoctorCluster(t *testing.T) {
	c := storetest.StartCluster(t, 3, 0)
	printed, code := doctor(t, c.URL)
	if code != 0 {
		t.Errorf("%d, %s", code, printed)
	}
	for _, n := range c.Nodes {
		if !strings.Contains(printed, "\nok    "+n.Addr+"  write        takes writes\n") {
			t.Errorf("nothing of %s:\n%s", n.Addr, printed)
		}
	}
}

func TestDoctorStoreJSON(t *testing.T) {
	server := storetest.StartRedis(t, "--maxmemory-policy", "allkeys-lru")
	printed, code := doctor(t, server.URL, "--json")
	var document struct {
		Store  string
		Checks []struct{ Name, Level, Found, Change string }
	}
	decoder := json.NewDecoder(strings.NewReader(printed))
	if err := decoder.Decode(&document); err != nil || decoder.More() || code != exitFailed || document.Store != server.URL {
		t.Fatalf("%d, %v: %s", code, err, printed)
	}
	for _, c := range document.Checks {
		if c.Name == "eviction" && c.Level == string(store.LevelFail) && strings.Contains(c.Change, "maxmemory-policy noeviction") {
			return
		}
	}
	t.Errorf("no eviction in %s", printed)
}
