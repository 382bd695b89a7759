package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

// killable is a stile in a process of its own.
type killable struct {
	running
	process *exec.Cmd
}

func serveProcess(t *testing.T, storeURL string) *killable {
	t.Helper()
	auth, err := freeAddress()
	addr, err2 := freeAddress()
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	k := &killable{running: running{t: t, file: filepath.Join(t.TempDir(), "stile.yaml"), log: &lockedBuffer{}, admin: "http://" + addr}}
	k.write("listen: { auth: \"" + auth + "\", admin: \"" + addr + "\" }\nstore: \"" + storeURL + "\"\n" + `
trust: [127.0.0.0/8]
routes: [{ name: all, match: /, public: a test }]
`)
	k.process = exec.Command("stile", "serve", "-c", k.file)
	k.process.Env = append(os.Environ(), "STILE_ADMIN_TOKEN="+adminToken)
	k.process.Stdout, k.process.Stderr = k.log, k.log
	if err := k.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.kill)
	k.until("ready", func() bool { return k.get(k.admin+"/readyz").status == http.StatusOK })
	return k
}

func (k *killable) kill() {
	_ = k.process.Process.Kill()
	_ = k.process.Wait()
}

// hooked is records, and something that happens when so many were read.
type hooked struct {
	records
	n      int
	happen func()
}

func (h *hooked) next() (record, error) {
	if h.n--; h.n == 0 {
		h.happen()
	}
	return h.records.next()
}

// An import whose server is killed goes on when it is run again: what was written is found to
// be there, and the rest is written.
func TestAnImportGoesOnAfterItsServerWasKilled(t *testing.T) {
	const lines = 3*batchLines - 100
	var file strings.Builder
	for i := range lines / 2 {
		hash := policy.PlainKeyHash(policy.NewSecret(fmt.Sprint(i)))
		_, _ = fmt.Fprintf(&file, `{"kind":"consumer","id":"c%d","custom_id":"crm-%d"}`+"\n"+`{"kind":"key","consumer":"c%d","id":"k%d","hash":"%s"}`+"\n", i, i, i, i, hash)
	}
	kinds := map[string]func() (url string, aWhile func()){
		"redis": func() (string, func()) {
			server := storetest.StartRedis(t)
			return server.URL, func() { letGo(t, server) }
		},
		"file": func() (string, func()) { return "file:" + filepath.Join(t.TempDir(), "stile.db"), func() {} },
	}
	for name, open := range kinds {
		t.Run(name, func(t *testing.T) {
			url, aWhile := open()
			k := serveProcess(t, url)
			var told bytes.Buffer
			im := importerTo(k.admin, &told)
			// When the third batch is read, the first one is done and the second under way.
			from := &hooked{newJSONLines(strings.NewReader(file.String())), 2*batchLines + 100, k.kill}
			if err := im.run(t.Context(), from, 1); err == nil || im.counts.Imported < batchLines || im.counts.Imported > 2*batchLines {
				t.Fatalf("the import did not break off in the middle: %+v, %v", im.counts, err)
			}
			aWhile()
			k = serveProcess(t, url)
			again := importerTo(k.admin, &told)
			err := again.run(t.Context(), newJSONLines(strings.NewReader(file.String())), 2)
			if err != nil || again.counts.Imported+again.counts.There != lines || again.counts.There < im.counts.Imported || told.Len() > 0 {
				t.Errorf("%+v after %+v: %v; told %.500s", again.counts, im.counts, err, told.String())
			}
			if code, text := stileTells(t, &k.running, "audit", "verify"); code != 0 || !strings.Contains(text, "unbroken") {
				t.Errorf("the audit: exit %d: %s", code, text)
			}
		})
	}
}

// letGo lets the time pass after which it is known that a writer was cut short.
func letGo(t *testing.T, server *storetest.Redis) {
	t.Helper()
	db := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer func() { _ = db.Close() }()
	names, err := db.Keys(t.Context(), "stile:key:*").Result()
	for _, name := range names {
		if left := db.PTTL(t.Context(), name).Val(); left > 0 {
			err = errors.Join(err, db.PExpire(t.Context(), name, left-11*time.Second).Err())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
