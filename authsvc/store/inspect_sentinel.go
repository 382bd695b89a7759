package store

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// sentinelNode is a Sentinel under inspection.
type sentinelNode struct {
	*redisNode
	masterAddr string // as it says; empty while it is not known
	findings   []Finding
}

// inspectSentinels looks at the Sentinels that the URL names, and at the master that they name.
func inspectSentinels(ctx context.Context, u redisURL, now func() time.Time) (all []Finding) {
	own := u
	own.user, own.password, own.database = u.sentinelUser, u.sentinelPassword, 0
	var sentinels []*sentinelNode
	for _, host := range u.hosts {
		s := &sentinelNode{redisNode: newRedisNode(own, host, "sentinel "+host, now)}
		defer s.close()
		s.sentinel = true
		sentinels = append(sentinels, s)
	}
	atOnce(sentinels, func(s *sentinelNode) { s.inspect(ctx) })

	masters := map[string][]string{} // who names it
	for _, s := range sentinels {
		if s.masterAddr != "" {
			masters[s.masterAddr] = append(masters[s.masterAddr], s.addr)
		}
	}
	for _, s := range sentinels {
		if s.findings[0].Level == LevelFail && len(masters) > 0 {
			s.findings[0].Level = LevelWarn // others tell where the master is
		}
		all = append(all, s.findings...)
	}
	if len(masters) > 1 {
		all = append(all, disagreement(u.master, masters))
	}
	for _, addr := range slices.Sorted(maps.Keys(masters)) {
		n := newRedisNode(u, addr, addr, now)
		defer n.close()
		of := n.inspect(ctx)
		if of[0].Level == LevelFail {
			of[0].Change += "; if the Sentinels name an address that is none from here: replica-announce-ip in its redis.conf, or sentinel monitor " + u.master + " ADDRESS"
		}
		all = append(all, of...)
	}
	return all
}

func disagreement(master string, masters map[string][]string) Finding {
	var texts []string
	for _, addr := range slices.Sorted(maps.Keys(masters)) {
		texts = append(texts, addr+" (by "+listText(masters[addr])+")")
	}
	f := fail("the Sentinels name different masters: "+strings.Join(texts, ", "), "see whether they reach each other; on those that are wrong: SENTINEL RESET "+master)
	f.Name = "master"
	return f
}

func (s *sentinelNode) inspect(ctx context.Context) {
	s.findings = []Finding{check[*sentinelNode]{"reach", (*sentinelNode).checkName}.of(ctx, s, s.label)}
	if s.findings[0].Level == LevelFail {
		return
	}
	s.findings = append(s.findings, inspectAll(ctx, s, s.label, []check[*sentinelNode]{
		{"quorum", (*sentinelNode).checkQuorum},
		{"acl", (*sentinelNode).checkRights},
	})...)
}

// checkName tells whether it is a Sentinel that knows the master of the URL.
func (s *sentinelNode) checkName(ctx context.Context) Finding {
	if f := s.checkReach(ctx); f.Level == LevelFail {
		return f
	}
	addr := redis.NewStringSliceCmd(ctx, "sentinel", "get-master-addr-by-name", s.url.master)
	err := s.client.Process(ctx, addr)
	switch {
	case isNoPerm(err):
		return fail("user "+s.user()+" may not ask who the master is", "on the Sentinel: ACL SETUSER "+s.user()+" +sentinel|get-master-addr-by-name")
	case err == redis.Nil: //nolint:errorlint // it comes as it is
		return s.unknownMaster(ctx)
	case err != nil:
		return fail("it does not say who the master is: "+err.Error(), "see its log")
	case len(addr.Val()) != 2:
		return fail(fmt.Sprintf("it names the master by %q", addr.Val()), "see whether that is a Sentinel")
	}
	s.masterAddr = net.JoinHostPort(addr.Val()[0], addr.Val()[1])
	return fine("names %s as the master %s", s.masterAddr, s.url.master)
}

// unknownMaster says which masters it knows, where we may see that.
func (s *sentinelNode) unknownMaster(ctx context.Context) Finding {
	found, change := "it knows no master "+s.url.master, "in store: the name behind the / as in `sentinel monitor NAME …` of its sentinel.conf"
	known := redis.NewMapStringStringSliceCmd(ctx, "sentinel", "masters")
	if s.client.Process(ctx, known) == nil {
		var names []string
		for _, m := range known.Val() {
			names = append(names, m["name"])
		}
		if slices.Sort(names); len(names) > 0 {
			found += ", but " + listText(names)
		} else {
			found += ", nor any other"
		}
	}
	return fail(found, change)
}

// checkQuorum tells whether a failover can happen.
func (s *sentinelNode) checkQuorum(ctx context.Context) Finding {
	others := redis.NewMapStringStringSliceCmd(ctx, "sentinel", "sentinels", s.url.master)
	if err := s.client.Process(ctx, others); err != nil {
		return notKnown("SENTINEL SENTINELS", err)
	}
	var down []string
	for _, o := range others.Val() {
		if strings.Contains(o["flags"], "down") {
			down = append(down, net.JoinHostPort(o["ip"], o["port"]))
		}
	}
	v := votes{all: len(others.Val()) + 1, down: down}
	master := redis.NewMapStringStringCmd(ctx, "sentinel", "master", s.url.master)
	if s.client.Process(ctx, master) == nil {
		v.needed, _ = strconv.Atoi(master.Val()["quorum"])
		v.master = master.Val()["flags"]
	}
	return judgeQuorum(v, s.url.master)
}

// votes are those of the Sentinels, as one of them sees it.
type votes struct {
	all    int
	down   []string
	needed int    // to find that the master is down; 0 for not known
	master string // its flags; "" for not known
}

// judgeQuorum: to find that the master is down takes the quorum, to replace it the majority.
func judgeQuorum(v votes, master string) Finding {
	up, majority := v.all-len(v.down), v.all/2+1
	found := countText(v.all, "Sentinel", "Sentinels")
	if len(v.down) > 0 {
		found += ", of which " + listText(v.down) + " do not answer"
	}
	if v.needed > 0 {
		found += fmt.Sprintf(", quorum %d", v.needed)
	} else {
		found += " (this user may not see the quorum)"
	}
	again := "start them; those that are gone for good: SENTINEL RESET " + master + " on each, one after the other"
	switch {
	case strings.Contains(v.master, "down"):
		return fail(found+": the master does not answer them ("+v.master+")", "see the master's log; SENTINEL MASTER "+master)
	case up < majority || up < v.needed:
		return fail(fmt.Sprintf("%s: no failover can happen, it takes %d", found, max(majority, v.needed)), again)
	case v.all < 3:
		return warn(found+": when one ends, no failover can happen", "three Sentinels, each on a machine of its own")
	case len(v.down) > 0:
		return warn(found, again)
	case v.needed == 1:
		return warn(found+": one that is cut off can begin a failover", fmt.Sprintf("SENTINEL SET %s quorum %d on each", master, majority))
	}
	return fine("%s: a failover can happen", found)
}

// checkRights tries what finds the other Sentinels, and hears of a failover.
func (s *sentinelNode) checkRights(ctx context.Context) Finding {
	const switched = "+switch-master"
	var missing []string
	if err := s.client.Do(ctx, "sentinel", "sentinels", s.url.master).Err(); isNoPerm(err) {
		missing = append(missing, "+sentinel|sentinels")
	}
	heard := s.client.Subscribe(ctx, switched)
	defer func() { _ = heard.Close() }()
	if _, err := heard.ReceiveTimeout(ctx, inspectReply); isNoPerm(err) {
		missing = append(missing, "+subscribe &"+switched+" &+replica-reconf-done")
	}
	if len(missing) > 0 {
		rights := strings.Join(missing, " ")
		return warn("user "+s.user()+" lacks "+rights+": a failover is heard of late", "on the Sentinel: ACL SETUSER "+s.user()+" "+rights+" (deploy/redis/sentinel.acl has all)")
	}
	return fine("user %s may ask and hear what Stile needs", s.user())
}
