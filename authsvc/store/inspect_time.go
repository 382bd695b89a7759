package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// From where on clocks that differ matter. Seconds move the ends of limits; half a minute
// lets keys and tokens live on, or end too soon.
const (
	skewHigh = time.Second
	skewMost = 30 * time.Second
)

// checkClock holds the server's clock against ours. Of several looks the quickest is the most
// exact: its answer was made within that time.
func (n *redisNode) checkClock(ctx context.Context) Finding {
	const looks = 5
	for begin, i := time.Now(), 0; i == 0 || i < looks && time.Since(begin) < lookTime/4; i++ {
		ours, start := n.now(), time.Now()
		theirs, err := n.client.Time(ctx).Result()
		if err != nil {
			return notKnown("TIME", err)
		}
		half := time.Since(start) / 2
		if by := half + time.Microsecond; n.offsetBy == 0 || by < n.offsetBy {
			n.offset, n.offsetBy = theirs.Sub(ours.Add(half)), by
		}
	}
	return judgeClock(n.offset, n.offsetBy)
}

func judgeClock(offset, by time.Duration) Finding {
	way := "ahead of"
	if offset < 0 {
		way = "behind"
	}
	found := fmt.Sprintf("%s %s ours (± %s)", timeText(offset.Abs()), way, timeText(by))
	consequence := ": limits and quotas go by its clock, ends of keys, tokens and revocations by ours"
	const change = "set both clocks by NTP (chronyc tracking, timedatectl)"
	switch sure := offset.Abs() - by; {
	case sure > skewMost:
		return fail(found+consequence, change)
	case sure > skewHigh:
		return warn(found+consequence, change)
	}
	return fine("%s", found)
}

// compareClocks holds the clocks of a cluster's nodes against each other.
func compareClocks(nodes []*redisNode) (f Finding, known bool) {
	nodes = slices.DeleteFunc(slices.Clone(nodes), func(n *redisNode) bool { return n.offsetBy == 0 })
	if len(nodes) < 2 {
		return f, false
	}
	byOffset := func(a, b *redisNode) int { return cmp.Compare(a.offset, b.offset) }
	first, last := slices.MinFunc(nodes, byOffset), slices.MaxFunc(nodes, byOffset)
	apart := last.offset - first.offset
	if apart-first.offsetBy-last.offsetBy > skewHigh {
		f = warn(fmt.Sprintf("%s is %s ahead of %s: a limit's period depends on the node that counts it", last.addr, timeText(apart), first.addr),
			"set the clocks of all nodes by NTP (chronyc tracking, timedatectl)")
	} else {
		f = fine("the nodes are within %s of each other", timeText(apart))
	}
	f.Name = "clock"
	return f, true
}

// From where on a server is slow: a request waits for it once or twice.
const (
	pings       = 100
	latencyHigh = 5 * time.Millisecond
	pingTime    = lookTime * 3 / 4
)

func (n *redisNode) checkLatency(ctx context.Context) Finding {
	took := make([]time.Duration, 0, pings)
	for end := time.Now().Add(pingTime); len(took) < pings && (len(took) == 0 || time.Now().Before(end)); {
		start := time.Now()
		if err := ping(ctx, n.client); err != nil {
			return notKnown("PING", err)
		}
		took = append(took, time.Since(start))
	}
	return judgeLatency(took, n.url.readTimeout)
}

func judgeLatency(took []time.Duration, readTimeout time.Duration) Finding {
	slices.Sort(took)
	median, worst := took[len(took)/2], took[len(took)-1]
	found := fmt.Sprintf("median %s, worst %s of %d", timeText(median), timeText(worst), len(took))
	const change = "see what is slow: SLOWLOG GET 10, redis-cli --latency, the network between; or a longer ?read_timeout= in store"
	switch {
	case median >= readTimeout:
		return fail(found+"; read_timeout is "+timeText(readTimeout)+", so that most commands fail", change)
	case worst > readTimeout/2:
		return warn(found+"; read_timeout is "+timeText(readTimeout), change)
	case median > latencyHigh:
		return warn(found+": each request that must ask waits for it", change)
	}
	return fine("%s", found)
}
