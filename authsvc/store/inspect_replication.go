package store

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// lagHigh is how long ago a replica may have been heard of, which tells it each second.
const lagHigh = 5 * time.Second

func (n *redisNode) checkReplication(ctx context.Context) Finding {
	info, err := n.facts(ctx)
	if n.role == "replica" || info["role"] == "slave" {
		return n.isReplica(info)
	}
	if err != nil {
		return n.replicasByMap(err)
	}
	return judgeReplication(info, n.url.shape, n.addr)
}

func (n *redisNode) isReplica(info facts) Finding {
	change := "in store: the master's address; or redis+sentinel://, which finds it"
	if host := info["master_host"]; host != "" {
		change = "in store: the master, " + host + ":" + info["master_port"] + "; or redis+sentinel://, which finds it"
	}
	return fail("it is a replica: writes are refused", change)
}

// replicasByMap is for a user who may not run INFO.
func (n *redisNode) replicasByMap(err error) Finding {
	switch {
	case n.replicas == 0:
		return noReplica(n.addr)
	case n.replicas > 0:
		return fine("a master with %s (this user may not see their lag)", countText(n.replicas, "replica", "replicas"))
	}
	f := notKnown("INFO", err)
	if n.role != "" && isNoPerm(err) {
		f.Found = "it is a " + n.role + ", and of replicas nothing is known: this user may not run INFO"
	}
	return f
}

// noReplica is for a master of a cluster.
func noReplica(addr string) Finding {
	return warn("a master without a replica: when it ends, so do its slots", "redis-cli --cluster add-node NEW "+addr+" --cluster-slave")
}

// judgeReplication is for a master.
func judgeReplication(info facts, of shape, addr string) Finding {
	list := replicasOf(info)
	host, port, _ := net.SplitHostPort(addr)
	if len(list) == 0 {
		switch of {
		case sentinel:
			return warn("a master without a replica: no failover can happen", "on another server, redis.conf: replicaof "+host+" "+port)
		case cluster:
			return noReplica(addr)
		}
		return fine("a master without replicas")
	}
	var slow []string
	for _, r := range list {
		if text, ok := r.slow(info.number("master_repl_offset")); ok {
			slow = append(slow, text)
		}
	}
	found := "a master with " + countText(len(list), "replica", "replicas")
	if len(slow) > 0 {
		return warn(found+": "+listText(slow), "see the replica's log, its network and its disk: what it has not is lost at a failover")
	}
	found += ", in sync"
	if good, ok := info["min_slaves_good_slaves"]; ok {
		return fine("%s; min-replicas-to-write is set, and %s count", found, good)
	}
	return fine("%s; no min-replicas-to-write", found)
}

// replicaLine is a replica as its master sees it.
type replicaLine struct {
	addr, state string
	offset      int64
	lag         time.Duration
}

func replicasOf(info facts) (list []replicaLine) {
	for i := range info.number("connected_slaves") {
		fields := facts{}
		for pair := range strings.SplitSeq(info["slave"+strconv.FormatInt(i, 10)], ",") {
			name, value, _ := strings.Cut(pair, "=")
			fields[name] = value
		}
		list = append(list, replicaLine{
			addr: net.JoinHostPort(fields["ip"], fields["port"]), state: fields["state"],
			offset: fields.number("offset"), lag: time.Duration(fields.number("lag")) * time.Second,
		})
	}
	return list
}

func (r replicaLine) slow(written int64) (text string, slow bool) {
	switch {
	case r.state != "online":
		return r.addr + " is not in sync (" + r.state + ")", true
	case r.lag > lagHigh:
		return fmt.Sprintf("%s was last heard of %s ago, %s behind", r.addr, r.lag, sizeText(max(written-r.offset, 0))), true
	}
	return "", false
}
