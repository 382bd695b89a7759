package store_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-gate/stile/authsvc/store/storetest"
)

// shippedRights are the commands that a user of a shipped file may send, in their order.
func shippedRights(t testing.TB, file, user string) (commands []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "user" || words[1] != user {
			continue
		}
		for _, word := range words {
			if command, ok := strings.CutPrefix(word, "+"); ok {
				commands = append(commands, command)
			}
		}
	}
	if len(commands) == 0 || slices.ContainsFunc(commands, func(c string) bool { return strings.HasPrefix(c, "@") }) {
		t.Fatalf("user %s of %s may send %q", user, file, commands)
	}
	slices.Sort(commands)
	return commands
}

// sent are the commands that servers were sent, or that scripts have called, but for those
// that everybody may send and those of the rig.
func sent(t testing.TB, servers []*storetest.Redis, rig ...string) []string {
	t.Helper()
	all := map[string]bool{}
	for _, server := range servers {
		info, err := server.Admin().Info(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(info) {
			name, counts, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
			if ok && !strings.HasPrefix(counts, "0,") {
				all[name] = true
			}
		}
	}
	for _, name := range append(rig, "hello", "auth", "config|resetstat") {
		delete(all, name)
	}
	return slices.Sorted(maps.Keys(all))
}

func resetCounts(t testing.TB, servers []*storetest.Redis) {
	t.Helper()
	for _, server := range servers {
		if err := server.Admin().ConfigResetStat(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// The user that we ship a line for may send what the suites make a store send, some of it
// only in a cluster, and nothing else.
func TestLeastRights(t *testing.T) {
	c := storetest.StartCluster(t, 3, 0, storetest.ACL(t, shippedACL)...)
	s := clusterShape(c)
	resetCounts(t, c.Nodes)
	s.suites(t)
	askedElsewhere(t, s, c)
	if err := s.open(t).Ping(t.Context()); err != nil {
		t.Error(err)
	}
	got := sent(t, c.Nodes, "flushall", "info", "client|kill", "multi", "exec",
		"cluster|keyslot", "cluster|myid", "cluster|setslot", "cluster|getkeysinslot", "migrate", "restore-asking", "select")
	if diff := cmp.Diff(shippedRights(t, shippedACL, "stile"), got); diff != "" {
		t.Errorf("what the user may send (-), what is sent (+):\n%s", diff)
	}
	for _, n := range c.Nodes {
		if refused := refusals(t, n); len(refused) > 0 {
			t.Errorf("refused: %q", refused)
		}
	}
	if keys, err := os.ReadFile(shippedACL); err != nil || !strings.Contains(string(keys), " resetchannels ~stile:* -@all ") {
		t.Errorf("the user may use other keys: %v", err)
	}
}

// askedElsewhere reads a consumer whose slot is on its way to another node.
func askedElsewhere(t *testing.T, s *shape, c *storetest.Cluster) {
	t.Helper()
	r := s.empty(t)
	if _, err := r.CreateConsumer(t.Context(), storetest.Consumer("acme")); err != nil {
		t.Fatal(err)
	}
	from := c.MasterOf(t, "stile:{c:acme}")
	to := c.Nodes[(slices.Index(c.Nodes, from)+1)%len(c.Nodes)]
	m := c.Begin(t, "stile:{c:acme}", to)
	m.Key(t, "stile:{c:acme}")
	if found, err := r.Consumer(t.Context(), "acme"); err != nil || found == nil {
		t.Errorf("found %+v, %v", found, err)
	}
	m.End(t)
}

// The same of the users by which replicas follow their master, and Sentinels watch both.
func TestLeastRightsOfServers(t *testing.T) {
	s := storetest.StartSentinel(t, storetest.ACL(t, shippedACL)...)
	first := s.Master(t)
	s.Failover(t)
	first.Restart(t)
	s.WaitWhole(t)
	got := sent(t, s.Redis, "replicaof", "select") // what a master tells its replica needs no rights
	want := append(shippedRights(t, shippedACL, "replica"), shippedRights(t, shippedACL, "sentinel")...)
	slices.Sort(want)
	if diff := cmp.Diff(slices.Compact(want), got); diff != "" {
		t.Errorf("what the users may send (-), what is sent (+):\n%s", diff)
	}
	for _, server := range slices.Concat(s.Redis, s.Sentinels) {
		if refused := refusals(t, server); len(refused) > 0 {
			t.Errorf("refused: %q", refused)
		}
	}
}

// Sentinels do not count what they are sent, but they note what they refuse: for want of a
// right that is needed, someone is refused.
func TestLeastRightsAtSentinels(t *testing.T) {
	s := storetest.StartSentinel(t, storetest.ACL(t, shippedACL)...)
	shape, file := sentinelShape(s), filepath.Join(filepath.Dir(shippedACL), "sentinel.acl")
	for _, command := range shippedRights(t, file, "stile") {
		atSentinels(t, s, "acl", "setuser", "stile", "-"+command)
		atSentinels(t, s, "acl", "log", "reset")
		r := shape.open(t)
		_ = r.Ping(t.Context())
		storetest.Eventually(t, "stile is refused "+command, func() bool { return slices.Contains(refusedBy(t, s), "stile: command "+command) })
		_ = r.Close()
		atSentinels(t, s, "acl", "setuser", "stile", "+"+command)
	}
	var want []string
	for _, command := range shippedRights(t, file, "sentinel") {
		want = append(want, "sentinel: command "+command)
	}
	atSentinels(t, s, "acl", "setuser", "sentinel", "-@all")
	atSentinels(t, s, "acl", "log", "reset")
	atSentinels(t, s, "client", "kill", "type", "normal", "skipme", "yes")
	s.Master(t).Kill()
	storetest.Eventually(t, "the other Sentinels are refused all that they need", func() bool { return slices.Equal(refusedBy(t, s), want) })
}

func atSentinels(t testing.TB, s *storetest.Sentinel, args ...any) {
	t.Helper()
	for _, one := range s.Sentinels {
		if err := one.Admin().Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// refusedBy is what any Sentinel has refused, each once.
func refusedBy(t testing.TB, s *storetest.Sentinel) (all []string) {
	t.Helper()
	for _, one := range s.Sentinels {
		all = append(all, refusals(t, one)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
