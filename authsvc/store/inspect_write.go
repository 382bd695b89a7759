package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// probeTime is when a key of an inspection goes by itself, if it could not be removed.
const probeTime = 10 * time.Second

// slotRange are slots of a cluster, with the last.
type slotRange struct{ first, last int }

// probeKey is a new key that this very server keeps.
func (n *redisNode) probeKey() string {
	tag := "doctor"
	for i := 1; len(n.slots) > 0 && !n.keeps(tag); i++ {
		tag = fmt.Sprintf("doctor%d", i)
	}
	return "stile:{" + tag + "}:" + newNonce()
}

func (n *redisNode) keeps(tag string) bool {
	slot := slotOf(tag)
	return slices.ContainsFunc(n.slots, func(r slotRange) bool { return r.first <= slot && slot <= r.last })
}

// clusterSlots is how many a cluster has.
const clusterSlots = 16384

// slotOf is where the keys of a tag lie: CRC-16/XMODEM, as the cluster's specification says.
func slotOf(tag string) int {
	var crc uint16
	for _, c := range []byte(tag) {
		crc ^= uint16(c) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			if crc <<= 1; carry {
				crc ^= 0x1021
			}
		}
	}
	return int(crc) % clusterSlots
}

// checkWrite writes a key, reads it and removes it.
func (n *redisNode) checkWrite(ctx context.Context) Finding {
	key := n.probeKey()
	if err := n.client.Set(ctx, key, key, probeTime).Err(); err != nil {
		return n.unwritten(err)
	}
	text, err := n.client.Get(ctx, key).Result()
	if err != nil || text != key {
		return fail(fmt.Sprintf("what was written cannot be read: %q, %v", text, err), "see the server's log: is something between that answers in its place?")
	}
	if err := n.client.Del(ctx, key).Err(); err != nil {
		return n.unwritten(err)
	}
	return fine("takes writes")
}

// unwritten says why a server does not take a write.
func (n *redisNode) unwritten(err error) Finding {
	text := err.Error()
	for _, of := range []struct{ begins, found, change string }{
		{"NOPERM", "user " + n.user() + " may not write", "see acl"},
		{"OOM", "its memory is full, and writes are refused", "redis.conf: a higher maxmemory (and at once: CONFIG SET maxmemory …)"},
		{"READONLY", "it is a replica, and refuses writes", "in store: the master's address; or redis+sentinel://, which finds it"},
		{"MISCONF", "it cannot save to its disk, and refuses writes", "see its log; make room in its dir, and let it write there"},
		{"NOREPLICAS", "too few replicas are in sync, and it refuses writes", "start them; or redis.conf: a lower min-replicas-to-write"},
		{"CLUSTERDOWN", "its cluster is not whole, and refuses everything", "see cluster; redis-cli --cluster check " + n.addr},
		{"MOVED", "its slots are on their way to another node", "run doctor again when that is done"},
		{"ASK", "its slots are on their way to another node", "run doctor again when that is done"},
		{"TRYAGAIN", "its slots are on their way to another node", "run doctor again when that is done"},
	} {
		if strings.HasPrefix(text, of.begins) {
			return fail(of.found, of.change)
		}
	}
	return fail("it does not take writes: "+text, "see the server's log")
}
