package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// What no server of a test can be brought to, or only after a long time.
func TestJudge(t *testing.T) {
	node := func(text string) *redisNode {
		return &redisNode{addr: "a:1", now: time.Now, replicas: -1, info: parseFacts(strings.ReplaceAll(text, " ", "\r\n"))}
	}
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	clock := func(addr string, offset time.Duration) *redisNode {
		return &redisNode{addr: addr, offset: offset, offsetBy: ms(1)}
	}
	compared := func(nodes ...*redisNode) Finding { f, _ := compareClocks(nodes); return f }
	good := "rdb_last_bgsave_status:ok aof_enabled:1 "
	for name, tt := range map[string]struct {
		got   Finding
		level Level
		words string
	}{
		"Redis 6":             {judgeVersion("redis", "6.2.14"), LevelFail, "Redis 6.2.14"},
		"Redis 10":            {judgeVersion("redis", "10.0.1"), LevelOK, "Redis 10.0.1"},
		"Valkey":              {judgeVersion("valkey", "8.1.0"), LevelOK, "Valkey 8.1.0"},
		"Valkey, by INFO":     {node("redis_version:7.2.4 server_name:valkey valkey_version:8.0.2").checkVersion(t.Context()), LevelOK, "Valkey 8.0.2"},
		"no version":          {judgeVersion("", "dev"), LevelFail, "dev"},
		"AOF not written":     {node(good + "aof_last_write_status:err").checkPersistence(t.Context()), LevelFail, "appenddirname"},
		"AOF not rewritten":   {node(good + "aof_last_write_status:ok aof_last_bgrewrite_status:err").checkPersistence(t.Context()), LevelWarn, "bgrewriteaof"},
		"unsaved":             {judgeSaves(facts{"rdb_changes_since_last_save": "7", "rdb_last_save_time": "1000"}, "3600 1", true, time.Unix(1300, 0)), LevelWarn, "since the last save, 5m0s ago: 7 changes so far"},
		"full machine":        {node("used_memory:900 total_system_memory:1000").checkMemory(t.Context()), LevelWarn, "90 % of its machine's 1.0 KB"},
		"buffers do not fill": {node("used_memory:1500 mem_not_counted_for_evict:800 maxmemory:1000").checkMemory(t.Context()), LevelOK, "70 %"},
		"no sizes":            {node("used_memory:1500").checkMemory(t.Context()), LevelOK, "1.5 KB used"},
		"not in sync": {
			judgeReplication(parseFacts("connected_slaves:1\r\nslave0:ip=::1,port=7,state=wait_bgsave,offset=0,lag=0"), sentinel, "a:1"), LevelWarn,
			"[::1]:7 is not in sync (wait_bgsave)",
		},
		"far behind": {
			judgeReplication(parseFacts("connected_slaves:1\r\nmaster_repl_offset:5000\r\nslave0:ip=h,port=7,state=online,offset=2000,lag=9"), standalone, "a:1"), LevelWarn,
			"h:7 was last heard of 9s ago, 3.0 KB behind",
		},
		"no replica, by a map":   {(&redisNode{addr: "a:1", replicas: 0, infoErr: errors.New("NOPERM")}).checkReplication(t.Context()), LevelWarn, "--cluster add-node NEW a:1"},
		"clocks of nodes":        {compared(clock("a", ms(-40)), clock("b", ms(30)), clock("c", 0)), LevelOK, "within 70ms"},
		"clocks apart":           {compared(clock("a", ms(-400)), clock("b", 0), clock("c", ms(5000))), LevelWarn, "c is 5.4s ahead of a"},
		"half a minute":          {judgeClock(-31*time.Second, ms(1)), LevelFail, "31s behind ours"},
		"perhaps half a minute":  {judgeClock(31*time.Second, 2*time.Second), LevelWarn, "31s ahead of ours (± 2s)"},
		"perhaps no skew":        {judgeClock(ms(1500), ms(600)), LevelOK, "1.5s ahead"},
		"one slow answer":        {judgeLatency([]time.Duration{ms(1), ms(1), ms(200)}, ms(250)), LevelWarn, "worst 200ms of 3; read_timeout is 250ms"},
		"half of the timeout":    {judgeLatency([]time.Duration{ms(1), ms(125)}, ms(300)), LevelWarn, "each request that must ask"},
		"quick":                  {judgeLatency([]time.Duration{ms(1), ms(2), ms(3)}, ms(250)), LevelOK, "median 2ms, worst 3ms"},
		"a quorum of one":        {judgeQuorum(votes{all: 3, needed: 1, master: "master"}, "main"), LevelWarn, "quorum 2 on each"},
		"two Sentinels":          {judgeQuorum(votes{all: 2, needed: 2, master: "master"}, "main"), LevelWarn, "when one ends"},
		"quorum beyond reach":    {judgeQuorum(votes{all: 5, needed: 4, down: []string{"a", "b"}}, "main"), LevelFail, "it takes 4"},
		"master down":            {judgeQuorum(votes{all: 3, needed: 2, master: "s_down,master"}, "main"), LevelFail, "s_down,master"},
		"slots in pieces":        {judgeCluster("a:1", []redis.ClusterSlot{{Start: 100, End: 16383}, {Start: 1, End: 98}}, 2, nil, ""), LevelFail, "16382 of 16384 slots have a node, but not 0, 99"},
		"a cluster that is down": {judgeCluster("a:1", []redis.ClusterSlot{{End: 16383}}, 1, facts{"cluster_state": "fail", "cluster_slots_fail": "9"}, ""), LevelFail, "nodes of 9 slots do not answer"},
		"a disk nearly full":     {judgeSpace(5e9, 100e9, "/var"), LevelWarn, "5.0 GB free, 5 % of the disk"},
		"a small disk":           {judgeSpace(9e8, 2e9, "/var"), LevelWarn, "900.0 MB free"},
		"a disk with room":       {judgeSpace(20e9, 100e9, "/var"), LevelOK, "20.0 GB free"},
		"a slow disk":            {judgeSync([]time.Duration{ms(1), ms(30), ms(50)}), LevelWarn, "takes 30ms, at worst 50ms of 3"},
		"no right":               {notKnown("INFO", errors.New("NOPERM no")), LevelWarn, "this user may not run INFO"},
		"no answer":              {notKnown("INFO", errors.New("i/o timeout")), LevelFail, "no answer to INFO"},
	} {
		if text := tt.got.Found + " -> " + tt.got.Change; tt.got.Level != tt.level || !strings.Contains(text, tt.words) {
			t.Errorf("%s: %s %s, want %s %s", name, tt.got.Level, text, tt.level, tt.words)
		}
	}
}

// A disk that hangs is not waited for.
func TestBounded(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	hang := make(chan Finding)
	defer close(hang)
	look := bounded(func(int, context.Context) Finding { return <-hang })
	if f := look(0, ctx); f.Level != LevelFail || !strings.Contains(f.Found, "does not answer") {
		t.Errorf("%+v", f)
	}
}

func TestSlotOf(t *testing.T) {
	// The first is the specification's, the others are what CLUSTER KEYSLOT answers.
	for tag, want := range map[string]int{"123456789": 12739, "foo": 12182, "sys": 15725} {
		if got := slotOf(tag); got != want {
			t.Errorf("%s lies in %d, want %d", tag, got, want)
		}
	}
}

func TestTexts(t *testing.T) {
	for got, want := range map[string]string{
		sizeText(0): "0 B", sizeText(999): "999 B", sizeText(1000): "1.0 KB", sizeText(999_960): "1.0 MB", sizeText(25_300_000_000): "25.3 GB",
		timeText(1234 * time.Nanosecond): "1µs", timeText(1234567 * time.Nanosecond): "1.23ms", timeText(-12345 * time.Millisecond): "-12s",
		timeText(0): "0s", listText([]string{"a", "b", "c", "d", "e", "f", "g"}): "a, b, c, d, e and 2 more",
		near("10.0.0.1:7000", "127.0.0.1:7001"): "10.0.0.1:7001", near("10.0.0.1:7000", ":7001"): "10.0.0.1:7001",
		near("10.0.0.1:7000", "10.0.0.2:0"): "10.0.0.2:7000", near("127.0.0.1:7000", "127.0.0.1:7001"): "127.0.0.1:7001",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func near(addr, told string) string { return (&redisNode{addr: addr}).near(told) }
