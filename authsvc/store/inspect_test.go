package store_test

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// inspect looks at a store, which takes no longer than is promised.
func inspect(t testing.TB, url string) store.Inspection {
	t.Helper()
	start := time.Now()
	found, err := store.Inspect(t.Context(), url, time.Now)
	if took := time.Since(start); err != nil || took > 10*time.Second {
		t.Fatalf("%v after %v", err, took)
	}
	text, err := json.Marshal(found)
	if err != nil || strings.Contains(string(text), "s3cret") || strings.Contains(string(text), "pa/ss") {
		t.Errorf("%v, or a password is shown: %s", err, text)
	}
	for _, f := range found.Checks {
		if f.Name == "" || f.Found == "" || (f.Level == store.LevelOK) != (f.Change == "") {
			t.Errorf("not whole: %+v", f)
		}
	}
	return found
}

// wantFinding looks for a finding with words in what was found or is to be changed.
func wantFinding(t testing.TB, in store.Inspection, name string, level store.Level, words ...string) {
	t.Helper()
	for _, f := range in.Checks {
		has := func(word string) bool { return !strings.Contains(f.Found+" -> "+f.Change, word) }
		if f.Name == name && f.Level == level && !slices.ContainsFunc(words, has) {
			return
		}
	}
	t.Errorf("no %s of %s with %q in:\n%s", level, name, words, lines(in))
}

func lines(in store.Inspection) string {
	var b strings.Builder
	for _, f := range in.Checks {
		b.WriteString(strings.Join([]string{string(f.Level), f.Node, f.Name, f.Found, "->", f.Change}, " ") + "\n")
	}
	return b.String()
}

func wantNoFail(t testing.TB, in store.Inspection) {
	t.Helper()
	if in.Count(store.LevelFail) > 0 {
		t.Errorf("something fails:\n%s", lines(in))
	}
}

// as is a URL with another user.
func as(t testing.TB, rawURL, user, password string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}

func do(t testing.TB, r *storetest.Redis, args ...any) {
	t.Helper()
	if err := r.Admin().Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

// A server that is set up as the documentation says has nothing to say against it, as an admin
// sees it; and nothing is left behind.
func TestInspectHealthy(t *testing.T) {
	server := storetest.StartRedis(t, append(storetest.ACL(t, shippedACL), "--appendonly", "yes", "--maxmemory", "100mb")...)
	in := inspect(t, as(t, server.URL, "admin", "pa/ss"))
	wantNoFail(t, in)
	if in.Count(store.LevelWarn) != 1 {
		t.Errorf("more than the admin's rights:\n%s", lines(in))
	}
	wantFinding(t, in, "version", store.LevelOK, "Redis")
	wantFinding(t, in, "persistence", store.LevelOK, "AOF is on, appendfsync everysec")
	wantFinding(t, in, "access", store.LevelWarn, "admin may run CONFIG SET", "deploy/redis/stile.acl")
	if in.Store != "redis://"+server.Addr {
		t.Errorf("the store is shown as %q", in.Store)
	}
	if keys := server.Admin().Keys(t.Context(), "*").Val(); len(keys) > 0 {
		t.Errorf("left behind: %q", keys)
	}
}

// The user that is shipped may do all that it needs, and not see everything.
func TestInspectLeastRights(t *testing.T) {
	server := storetest.StartRedis(t, append(storetest.ACL(t, shippedACL), "--appendonly", "yes")...)
	in := inspect(t, server.URL)
	wantNoFail(t, in)
	for _, name := range []string{"version", "write", "acl", "access", "clock", "latency", "stile"} {
		wantFinding(t, in, name, store.LevelOK)
	}
	for _, name := range []string{"eviction", "memory", "persistence", "replication"} {
		wantFinding(t, in, name, store.LevelWarn, "this user may not run INFO", "another user")
	}
	if keys := server.Admin().Keys(t.Context(), "*").Val(); len(keys) > 0 {
		t.Errorf("left behind: %q", keys)
	}
}

// What is set up otherwise, each for real.
func TestInspectSettings(t *testing.T) {
	tests := []struct {
		name, args, check string
		level             store.Level
		words             []string
	}{
		{"evicts", "--maxmemory-policy allkeys-lru", "eviction", store.LevelFail, []string{"allkeys-lru", "redis.conf: maxmemory-policy noeviction"}},
		{"evicts what ends", "--maxmemory-policy volatile-ttl", "eviction", store.LevelFail, []string{"volatile-ttl"}},
		{"full", "--maxmemory 500kb", "memory", store.LevelFail, []string{"of maxmemory 512.0 KB", "redis.conf: maxmemory"}},
		{"full, and refuses writes", "--maxmemory 500kb", "write", store.LevelFail, []string{"memory is full"}},
		{"no persistence", "", "persistence", store.LevelWarn, []string{"none:", "CONFIG SET appendonly yes"}},
		{"RDB alone", "--save 3600 1", "persistence", store.LevelWarn, []string{"RDB alone, save 3600 1", "0 changes"}},
		{"AOF without fsync", "--appendonly yes --appendfsync no", "persistence", store.LevelWarn, []string{"appendfsync everysec"}},
		{"AOF", "--appendonly yes --appendfsync always", "persistence", store.LevelOK, []string{"appendfsync always"}},
		{"wants replicas", "--min-replicas-to-write 1", "write", store.LevelFail, []string{"too few replicas", "min-replicas-to-write"}},
		{"no replica", "", "replication", store.LevelOK, []string{"without replicas"}},
		{"no password", "", "access", store.LevelWarn, []string{"anybody", "requirepass"}},
		{"a cluster's node", "--cluster-enabled yes", "reach", store.LevelFail, []string{"redis+cluster://127.0.0.1"}},
		{"clock", "", "clock", store.LevelOK, []string{"ours"}},
		{"no stile", "", "stile", store.LevelOK, []string{"no stile"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := storetest.StartRedis(t, strings.Fields(tt.args)...)
			wantFinding(t, inspect(t, server.URL), tt.check, tt.level, tt.words...)
		})
	}
}

func TestInspectEvicted(t *testing.T) {
	server := storetest.StartRedis(t, "--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru")
	for range 2000 {
		do(t, server, "set", "k"+strings.Repeat("x", 1000)+time.Now().String(), strings.Repeat("x", 1000))
	}
	wantFinding(t, inspect(t, server.URL), "eviction", store.LevelFail, "keys were evicted since")
}

func TestInspectNearlyFull(t *testing.T) {
	server := storetest.StartRedis(t)
	for i := range 100 {
		do(t, server, "set", i, strings.Repeat("x", 200_000))
	}
	do(t, server, "config", "set", "maxmemory", "25mb")
	in := inspect(t, server.URL)
	wantFinding(t, in, "memory", store.LevelWarn, "% of maxmemory 26.2 MB", "CONFIG SET maxmemory")
	wantNoFail(t, in)
}

// A save that failed, since the folder is gone.
func TestInspectSaveFailed(t *testing.T) {
	server := storetest.StartRedis(t, "--save", "3600 1", "--rdbcompression", "no")
	folder := server.Admin().ConfigGet(t.Context(), "dir").Val()["dir"]
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	do(t, server, "set", "a", "b")
	do(t, server, "bgsave")
	storetest.Eventually(t, "it has failed", func() bool {
		return strings.Contains(server.Admin().Info(t.Context(), "persistence").Val(), "rdb_last_bgsave_status:err")
	})
	in := inspect(t, server.URL)
	wantFinding(t, in, "persistence", store.LevelFail, "RDB save failed", "bgsave")
	wantFinding(t, in, "write", store.LevelFail, "cannot save")
}

func TestInspectReplica(t *testing.T) {
	t.Parallel() // it waits for seconds
	master, replica := storetest.StartRedis(t), storetest.StartRedis(t)
	host, port, _ := strings.Cut(master.Addr, ":")
	do(t, replica, "replicaof", host, port)
	storetest.Eventually(t, "it is in sync", func() bool {
		return strings.Contains(master.Admin().Info(t.Context(), "replication").Val(), "state=online")
	})
	in := inspect(t, replica.URL)
	wantFinding(t, in, "replication", store.LevelFail, "it is a replica", master.Addr)
	wantFinding(t, in, "write", store.LevelFail, "refuses writes")
	wantFinding(t, inspect(t, master.URL), "replication", store.LevelOK, "1 replica, in sync", "no min-replicas")
	do(t, master, "config", "set", "min-replicas-to-write", "1")
	wantFinding(t, inspect(t, master.URL), "replication", store.LevelOK, "min-replicas-to-write is set, and 1 count")

	replica.Freeze()
	defer replica.Thaw()
	storetest.Eventually(t, "it is heard of no more", func() bool {
		info := master.Admin().Info(t.Context(), "replication").Val()
		return strings.Contains(info, "lag=6")
	})
	wantFinding(t, inspect(t, master.URL), "replication", store.LevelWarn, replica.Addr+" was last heard of", "replica's log")
}

// Our own clock is wrong, by as much.
func TestInspectClock(t *testing.T) {
	server := storetest.StartRedis(t)
	for ours, level := range map[time.Duration]store.Level{
		0: store.LevelOK, 900 * time.Millisecond: store.LevelOK,
		5 * time.Second: store.LevelWarn, -5 * time.Second: store.LevelWarn,
		time.Minute: store.LevelFail, -time.Hour: store.LevelFail,
	} {
		in, err := store.Inspect(t.Context(), server.URL, func() time.Time { return time.Now().Add(ours) })
		if err != nil {
			t.Fatal(err)
		}
		words := map[bool]string{true: "behind ours", false: "ahead of ours"}[ours > time.Second]
		if level == store.LevelOK {
			wantFinding(t, in, "clock", level)
		} else {
			wantFinding(t, in, "clock", level, words, "NTP", "limits and quotas go by its clock")
		}
	}
}

func TestInspectSlow(t *testing.T) {
	server := storetest.StartRedis(t)
	for delay, level := range map[time.Duration]store.Level{10 * time.Millisecond: store.LevelWarn, 300 * time.Millisecond: store.LevelFail} {
		t.Run(delay.String(), func(t *testing.T) {
			t.Parallel()
			slow := storetest.StartProxy(t, server.Addr)
			slow.Delay(delay)
			in := inspect(t, slow.URL)
			wantFinding(t, in, "latency", level, "median", "SLOWLOG")
			wantFinding(t, in, "write", store.LevelOK)
		})
	}
}

// The processes of stile: one that follows, and one that was not heard of for a while.
func TestInspectStiles(t *testing.T) {
	server := storetest.StartRedis(t)
	r := openRedis(t, server)
	announce(t, r, store.KeyChanged, "k1")
	follow(t, r, store.FollowerOptions{Host: "web-1"})
	wantFinding(t, inspect(t, server.URL), "stile", store.LevelOK, "1 replica of stile is up to date, at change 1")

	seen := time.Now().Add(-time.Minute).UnixMilli()
	do(t, server, "hset", "stile:{sys}:replicas", "gone", "0 "+strconv.FormatInt(seen, 10)+" web-2", "silent", "1 "+strconv.FormatInt(seen, 10)+" web-3")
	wantFinding(t, inspect(t, server.URL), "stile", store.LevelWarn,
		"2 of 3 replicas of stile", "web-2 (gone) is 1 change behind, heard of 1m", "web-3 (silent), heard of", "ten minutes")
}

func TestInspectMemory(t *testing.T) {
	in := inspect(t, "memory:")
	wantFinding(t, in, "persistence", store.LevelWarn, "end with it", "file:/var/lib")
	if len(in.Checks) != 1 || in.Store != "memory:" {
		t.Error(lines(in))
	}
}

func TestInspectRefused(t *testing.T) {
	for _, url := range []string{"redis://:s3cret@", "mysql://s3cret@h", "file:"} {
		if _, err := store.Inspect(t.Context(), url, time.Now); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// Who goes away is not kept waiting.
func TestInspectEnds(t *testing.T) {
	server := storetest.StartRedis(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, err := store.Inspect(ctx, server.URL, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	wantFinding(t, in, "reach", store.LevelFail, "not known")
	in, err = store.Inspect(ctx, "file:"+filepath.Join(t.TempDir(), "stile.db"), time.Now)
	if err != nil || in.Count(store.LevelFail) == 0 {
		t.Error(err, lines(in))
	}
}
