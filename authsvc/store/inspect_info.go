package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// facts are what INFO tells.
type facts map[string]string

func parseFacts(text string) facts {
	all := facts{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && !strings.HasPrefix(name, "#") {
			all[name] = value
		}
	}
	return all
}

// number is 0 for what is not there.
func (f facts) number(name string) int64 {
	n, _ := strconv.ParseInt(f[name], 10, 64)
	return n
}

// facts asks once.
func (n *redisNode) facts(ctx context.Context) (facts, error) {
	if n.info == nil && n.infoErr == nil {
		var text string
		if text, n.infoErr = n.client.Info(ctx).Result(); n.infoErr == nil {
			n.info = parseFacts(text)
		}
	}
	return n.info, n.infoErr
}

// setting is one of redis.conf; false where we may not see it.
func (n *redisNode) setting(ctx context.Context, name string) (string, bool) {
	all, err := n.client.ConfigGet(ctx, name).Result()
	value, ok := all[name]
	return value, err == nil && ok
}

// leastVersion is what the scripts need.
const leastVersion = 7

func (n *redisNode) checkVersion(ctx context.Context) Finding {
	product, version := n.product, n.version
	if version == "" {
		info, err := n.facts(ctx)
		if err != nil {
			return notKnown("INFO", err)
		}
		product, version = "redis", info["redis_version"]
		if v := info["valkey_version"]; v != "" {
			product, version = "valkey", v
		}
	}
	return judgeVersion(product, version)
}

func judgeVersion(product, version string) Finding {
	if product != "" {
		product = strings.ToUpper(product[:1]) + product[1:]
	}
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < leastVersion {
		return fail(strings.TrimSpace(product+" "+version), "Redis 7.0 or later, or Valkey")
	}
	return fine("%s %s", product, version)
}

func (n *redisNode) checkEviction(ctx context.Context) Finding {
	info, err := n.facts(ctx)
	if err != nil {
		return notKnown("INFO", err)
	}
	const kept = "noeviction"
	policy, evicted := info["maxmemory_policy"], info.number("evicted_keys")
	if policy == kept {
		return fine("maxmemory-policy %s", kept)
	}
	found := "maxmemory-policy " + policy + ": when memory is short, revocations and counters are forgotten"
	if evicted > 0 {
		found = fmt.Sprintf("maxmemory-policy %s: %d keys were evicted since it started, revocations and counters perhaps among them", policy, evicted)
	}
	return fail(found, changed("maxmemory-policy", kept))
}

// changed is how to change a setting.
func changed(name, value string) string {
	return "redis.conf: " + name + " " + value + " (and at once: CONFIG SET " + name + " " + value + ")"
}

// memoryHigh is how much of the memory may be used, in percent.
const memoryHigh = 80

func (n *redisNode) checkMemory(ctx context.Context) Finding {
	info, err := n.facts(ctx)
	if err != nil {
		return notKnown("INFO", err)
	}
	used, most, of := info.number("used_memory")-info.number("mem_not_counted_for_evict"), info.number("maxmemory"), "maxmemory"
	more := changed("maxmemory", fmt.Sprintf("%dmb", 2*used>>20+1))
	if most == 0 {
		if most = info.number("total_system_memory"); most == 0 {
			return fine("%s used, no maxmemory", sizeText(used))
		}
		of, more = "its machine's", "more memory for it; redis.conf: maxmemory, so that Redis refuses writes before the system kills it"
	}
	percent := 100 * float64(used) / float64(most)
	found := fmt.Sprintf("%s used, %.0f %% of %s %s", sizeText(used), percent, of, sizeText(most))
	switch {
	case percent >= 100:
		return fail(found+": writes are refused", more)
	case percent > memoryHigh:
		return warn(found, more)
	}
	return fine("%s", found)
}

func (n *redisNode) checkPersistence(ctx context.Context) Finding {
	info, err := n.facts(ctx)
	if err != nil {
		return notKnown("INFO", err)
	}
	if info["rdb_last_bgsave_status"] != "ok" {
		return fail("the last RDB save failed: until one succeeds, writes are refused (stop-writes-on-bgsave-error)",
			"see its log; make room in its dir, and let it write there; then: redis-cli bgsave")
	}
	if info["aof_enabled"] != "1" {
		save, known := n.setting(ctx, "save")
		return judgeSaves(info, save, known, n.now())
	}
	if info["aof_last_write_status"] != "ok" {
		return fail("the last write to the AOF failed: writes are refused until one succeeds", "see its log; make room in its appenddirname, and let it write there")
	}
	if info["aof_last_bgrewrite_status"] != "ok" {
		return warn("AOF is on, and its last rewrite failed: it grows without end", "see its log; make room in its dir; then: redis-cli bgrewriteaof")
	}
	how, _ := n.setting(ctx, "appendfsync")
	switch how {
	case "no":
		return warn("AOF is on with appendfsync no: a crash of the machine loses about half a minute", changed("appendfsync", "everysec"))
	case "":
		return fine("AOF is on")
	}
	return fine("AOF is on, appendfsync %s", how)
}

// judgeSaves is for a server without AOF. Its save points cannot always be seen.
func judgeSaves(info facts, save string, known bool, now time.Time) Finding {
	// appendonly in redis.conf alone makes the next start begin with an empty AOF.
	const change = "first CONFIG SET appendonly yes, then redis.conf: appendonly yes (in this order, or a restart begins empty)"
	unsaved, age := info.number("rdb_changes_since_last_save"), now.Sub(time.Unix(info.number("rdb_last_save_time"), 0))
	at := fmt.Sprintf("a crash loses what came since the last save, %s ago: %s so far", timeText(max(age, 0)), countText(int(unsaved), "change", "changes"))
	switch {
	case !known:
		return warn("no AOF (this user may not see whether RDB saves are on): "+at, change)
	case strings.TrimSpace(save) == "":
		return warn("none: after a restart every consumer and key is unknown, and every revoked token is let in", change)
	}
	return warn("RDB alone, save "+save+": "+at, change)
}
