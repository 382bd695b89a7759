package store_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// What is tried is what the file that is shipped grants, which every suite runs with.
func TestInspectTriesAllRights(t *testing.T) {
	text, err := os.ReadFile(shippedACL)
	if err != nil {
		t.Fatal(err)
	}
	var granted []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "user stile ") {
			continue
		}
		for _, word := range strings.Fields(line) {
			if right, ok := strings.CutPrefix(word, "+"); ok {
				granted = append(granted, right)
			}
		}
	}
	slices.Sort(granted)
	if diff := cmp.Diff(granted, store.InspectedRights()); diff != "" {
		t.Errorf("tried (-granted +tried):\n%s", diff)
	}
}

// Exactly the rights that are missing are named.
func TestInspectACL(t *testing.T) {
	server := storetest.StartRedis(t, storetest.ACL(t, shippedACL)...)
	user := func(name string, rights ...string) string {
		args := []any{"acl", "setuser", name, "reset", "on", ">s3cret"}
		for _, right := range rights {
			args = append(args, right)
		}
		do(t, server, args...)
		return as(t, server.URL, name, "s3cret")
	}
	granted := func(more ...string) (rights []string) {
		for _, right := range store.InspectedRights() {
			if right != "cluster|slots" && right != "asking" && !slices.Contains(more, "-"+right) {
				rights = append(rights, "+"+right)
			}
		}
		return append(rights, slices.DeleteFunc(more, func(right string) bool { return right[0] == '-' })...)
	}
	const own = "~stile:*"
	for name, tt := range map[string]struct {
		url, check string
		level      store.Level
		words      []string
	}{
		"all": {user("all", granted(own)...), "acl", store.LevelOK, []string{"user all may run every command"}},
		"two missing": {
			user("two", granted("-hincrby", "-xinfo|stream", own)...), "acl", store.LevelFail,
			[]string{"user two may not run hincrby xinfo|stream ->", "ACL SETUSER two +hincrby +xinfo|stream (and"},
		},
		"no dump": {
			user("copy", granted("-scan", "-zscan", own)...), "acl", store.LevelWarn,
			[]string{"user copy may not run zscan scan, which a dump or a copy of the store needs ->", "ACL SETUSER copy +zscan +scan (and"},
		},
		"no writes": {user("reads", "+@read", "+ping", own), "write", store.LevelFail, []string{"user reads may not write"}},
		"some keys": {
			user("some", granted("~stile:{doctor*", "~stile:key:*", "%R~stile:ref:*")...), "acl", store.LevelFail,
			[]string{"user some may not get stile:{c:…", "del stile:{c:…", "del stile:ref:key:…", "get stile:revoked:…", "ACL SETUSER some ~stile:*"},
		},
		"others' keys":   {user("others", granted("~*")...), "access", store.LevelWarn, []string{"not Stile's", own}},
		"CONFIG":         {user("config", granted(own, "+config|set")...), "access", store.LevelWarn, []string{"config may run CONFIG SET"}},
		"INFO":           {user("info", granted(own, "+info")...), "eviction", store.LevelOK, []string{"noeviction"}},
		"only looks":     {user("looks", granted(own, "+info", "+config|get")...), "access", store.LevelOK, []string{"user looks may do no more"}},
		"INFO, no saves": {user("info2", granted(own, "+info")...), "persistence", store.LevelWarn, []string{"may not see whether RDB saves are on"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := inspect(t, tt.url)
			wantFinding(t, in, tt.check, tt.level, tt.words...)
			if strings.Contains(lines(in), "get stile:key:") || strings.Contains(lines(in), "get stile:ref:") {
				t.Errorf("it may:\n%s", lines(in))
			}
			if keys := server.Admin().Keys(t.Context(), "*").Val(); len(keys) > 0 {
				t.Errorf("left behind: %q", keys)
			}
		})
	}

	// The file that is shipped turns the default user off.
	do(t, server, "acl", "setuser", "default", "on", "nopass", "+ping")
	wantFinding(t, inspect(t, server.URL), "access", store.LevelWarn, "anybody who reaches it is let in", "ACL SETUSER default off")
}
