package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// attempt tries a command that Stile sends, or that a script of Stile's calls, in a form that
// does no harm. Whether a user may run it is the first thing that a server looks at, so that
// any other error means: yes.
type attempt struct {
	right  string // as an ACL writes it
	args   []any
	spared bool // only a dump or a copy of the store needs it
}

// attempts are made on a key that is a string: what is for other types fails of that, and
// makes nothing.
func attempts(key string, u redisURL) []attempt {
	texts := []string{
		"ping", "time", "persist KEY", // which is not there yet, so that it always has an end
		"set KEY 1 px 10000", "get KEY", "exists KEY", "incr KEY", "incrby KEY 1", "pttl KEY", "expire KEY 10", "pexpire KEY 10000",
		"hset KEY a b", "hget KEY a", "hmget KEY a", "hgetall KEY", "hdel KEY a", "hincrby KEY a 1",
		"sadd KEY a", "srem KEY a", "scard KEY", "smembers KEY",
		"zadd KEY 0 a", "zrem KEY a", "zrange KEY 0 0", "zremrangebyscore KEY 0 0",
		"xadd KEY * a b", "xrange KEY - +", "xrevrange KEY + -", "xread STREAMS KEY 0", "xinfo|stream KEY",
		"eval return~1 0", "evalsha " + strings.Repeat("0", 40) + " 0",
	}
	if u.shape == cluster {
		texts = append(texts, "cluster|slots", "asking", "get KEY") // of which ASKING spends itself
	}
	if u.database != 0 {
		texts = append(texts, fmt.Sprintf("select %d", u.database))
	}
	var all []attempt
	for _, text := range texts {
		all = append(all, newAttempt(text, key))
	}
	for _, text := range []string{"expiretime KEY", "zscan KEY 0", "scan 0 count 1"} {
		a := newAttempt(text, key)
		a.spared = true
		all = append(all, a)
	}
	return append(all, newAttempt("del KEY", key))
}

// newAttempt reads a command, where ~ stands for a space.
func newAttempt(text, key string) (a attempt) {
	words := strings.Fields(text)
	a.right = words[0]
	for part := range strings.SplitSeq(a.right, "|") {
		a.args = append(a.args, part)
	}
	for _, word := range words[1:] {
		if word == "KEY" {
			word = key
		}
		a.args = append(a.args, strings.ReplaceAll(word, "~", " "))
	}
	return a
}

// families are keys of every kind that Stile has, none of which is there.
func families() []string {
	nonce := "doctor-" + newNonce()
	return []string{hashKey(nonce), consumerKey(nonce), keyRefKey(nonce), "stile:revoked:" + nonce, "stile:{sys}:" + nonce}
}

func (n *redisNode) checkRights(ctx context.Context) Finding {
	all := attempts(n.probeKey(), n.url)
	var commands, keys []*redis.Cmd
	answers, _ := n.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, a := range all {
			commands = append(commands, p.Do(ctx, a.args...))
		}
		for _, key := range families() {
			keys = append(keys, p.Do(ctx, "get", key), p.Do(ctx, "del", key))
		}
		return nil
	})
	for _, c := range answers {
		if isOutage(c.Err()) {
			return notKnown("the commands of Stile", c.Err())
		}
	}
	var missing []attempt
	for i, c := range commands {
		if isNoPerm(c.Err()) && !isKeyRefused(c.Err()) {
			missing = append(missing, all[i])
		}
	}
	var closed []string
	for _, c := range keys {
		if isKeyRefused(c.Err()) {
			key, _ := c.Args()[1].(string)
			kind, _, _ := strings.Cut(key, "doctor-")
			closed = append(closed, c.Name()+" "+kind+"…")
		}
	}
	return judgeRights(n.user(), missing, closed)
}

// isKeyRefused tells whether a command may be run, and not on that key.
func isKeyRefused(err error) bool {
	return isNoPerm(err) && strings.Contains(err.Error(), " access ")
}

// judgeRights says which commands are missing, and which of our keys are closed.
func judgeRights(user string, missing []attempt, closed []string) Finding {
	var needed, spared []string
	for _, a := range missing {
		if a.spared {
			spared = append(spared, a.right)
		} else {
			needed = append(needed, a.right)
		}
	}
	var found []string
	change := "ACL SETUSER " + user
	if len(needed) > 0 {
		found = append(found, "may not run "+strings.Join(needed, " "))
	}
	if len(spared) > 0 {
		found = append(found, "may not run "+strings.Join(spared, " ")+", which a dump or a copy of the store needs")
	}
	for _, a := range missing {
		change += " +" + a.right
	}
	if len(closed) > 0 {
		found = append(found, "may not "+strings.Join(closed, ", "))
		change += " ~stile:*"
	}
	change += " (and the same in its aclfile; deploy/redis/stile.acl has all)"
	switch {
	case len(found) == 0:
		return fine("user %s may run every command that Stile needs", user)
	case len(needed)+len(closed) == 0:
		return warn("user "+user+" "+found[0], change)
	}
	return fail("user "+user+" "+strings.Join(found, "; "), change)
}

// checkAccess tells whether more is open than Stile needs.
func (n *redisNode) checkAccess(ctx context.Context) Finding {
	if open, all := n.letsIn(ctx); open && all {
		return warn("anybody who reaches it may do everything: user default needs no password",
			"redis.conf: aclfile /etc/redis/users.acl, made from deploy/redis/stile.acl; or requirepass PASSWORD")
	} else if open {
		return warn("anybody who reaches it is let in: user default needs no password", "ACL SETUSER default off (and the same in its aclfile)")
	}
	const change = "in store: a user of its own, as deploy/redis/stile.acl has it"
	if isAdmin(ctx, n.client) {
		return warn("user "+n.user()+" may run CONFIG SET, and with it do everything to this server", change)
	}
	if err := n.client.Get(ctx, "doctor-"+newNonce()).Err(); err == nil || errors.Is(err, redis.Nil) || strings.HasPrefix(err.Error(), "MOVED ") {
		return warn("user "+n.user()+" may read keys that are not Stile's", change+": ~stile:*")
	}
	return fine("user %s may do no more than Stile needs, as far as was tried", n.user())
}

// letsIn tells whether a server answers somebody without a password, and whether it obeys.
func (n *redisNode) letsIn(ctx context.Context) (open, all bool) {
	u := n.url
	u.user, u.password, u.database = "", "", 0
	anybody := u.plainClient(n.addr)
	defer func() { _ = anybody.Close() }()
	return ping(ctx, anybody) == nil, isAdmin(ctx, anybody)
}

// isAdmin tries to change a setting that no server has. Who may do that learns that there is
// none.
func isAdmin(ctx context.Context, c *redis.Client) bool {
	err := c.ConfigSet(ctx, "stile-doctor-no-such-setting", "1").Err()
	return err != nil && strings.HasPrefix(err.Error(), "ERR Unknown option")
}
