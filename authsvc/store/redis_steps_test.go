package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/authsvc/store/storetest"
	"github.com/stile-gate/stile/policy"
)

// stepper is a store whose every round trip waits for leave.
type stepper struct {
	*store.Redis
	turn, stepped, done chan struct{}
	twice               int // the round trip that is made twice, as if its answer had been lost
	made                int
	dead                bool
}

var errDead = errors.New("the writer is no more")

func newStepper(t *testing.T, server *storetest.Redis) *stepper {
	s := &stepper{Redis: openRedis(t, server), twice: -1}
	if err := s.Ping(t.Context()); err != nil { // so that connecting is no step
		t.Fatal(err)
	}
	s.Client().AddHook(s)
	return s
}

// begin starts an operation, which waits before its first round trip.
func (s *stepper) begin(ctx context.Context, op operation) {
	s.turn, s.stepped, s.done = make(chan struct{}), make(chan struct{}), make(chan struct{})
	s.made, s.dead = 0, false
	go func() {
		defer close(s.done)
		_ = op(ctx, s.Redis)
	}()
}

// steps makes up to n round trips and answers false when the operation has ended.
func (s *stepper) steps(n int) bool {
	for range n {
		select {
		case s.turn <- struct{}{}:
			<-s.stepped
		case <-s.done:
			return false
		}
	}
	return true
}

func (s *stepper) finish() { s.steps(1 << 20) }

// die makes the server out of reach for the rest of the operation.
func (s *stepper) die() {
	s.dead = true
	s.finish()
}

func (s *stepper) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *stepper) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return s.step(func() error { return next(ctx, cmd) }, func(err error) { cmd.SetErr(err) })
	}
}

func (s *stepper) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return s.step(func() error { return next(ctx, cmds) }, func(err error) {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
		})
	}
}

func (s *stepper) step(send func() error, fail func(error)) error {
	<-s.turn
	defer func() { s.stepped <- struct{}{} }()
	defer func() { s.made++ }()
	if s.dead {
		fail(errDead)
		return errDead
	}
	if s.made == s.twice {
		_ = send()
	}
	return send()
}

type operation func(context.Context, *store.Redis) error

func createKey(id, consumer, secret string) operation {
	return func(ctx context.Context, r *store.Redis) error {
		k := storetest.Key(secret, consumer)
		k.ID = id
		return r.CreateKey(ctx, k)
	}
}

func revoke(id string) operation {
	return func(ctx context.Context, r *store.Redis) error { return r.RevokeKey(ctx, id) }
}

func withCustom(id, customID string) store.Consumer {
	c := storetest.Consumer(id)
	c.CustomID = customID
	return c
}

func create(id, customID string) operation {
	return func(ctx context.Context, r *store.Redis) error {
		_, err := r.CreateConsumer(ctx, withCustom(id, customID))
		return err
	}
}

func update(id, customID string) operation {
	return func(ctx context.Context, r *store.Redis) error {
		c := withCustom(id, customID)
		c.Disabled = true
		_, err := r.UpdateConsumer(ctx, c)
		return err
	}
}

func remove(id string) operation {
	return func(ctx context.Context, r *store.Redis) error { return r.DeleteConsumer(ctx, id) }
}

// operations begin with the books that seed writes.
var operations = map[string]operation{
	"create key":               createKey("k1", "acme", "k1"),
	"create key, other hash":   createKey("k1", "other", "k2"),
	"create key that is there": createKey("k0", "acme", "k0"),
	"revoke":                   revoke("k0"),
	"update":                   update("acme", "x"),
	"update custom id":         update("acme", "y"),
	"take custom id":           update("other", "x"),
	"create with custom id":    create("third", "y"),
	"delete":                   remove("acme"),
	"create consumer":          create("acme", ""),
}

// seed: acme has the custom id x and the key k0, other has nothing.
func seed(t *testing.T, r *store.Redis) {
	t.Helper()
	if err := r.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for _, op := range []operation{create("acme", "x"), create("other", ""), createKey("k0", "acme", "k0")} {
		if err := op(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRedisInterleaved runs every two operations against each other: one makes i round
// trips, the other j, then the first ends and the second ends.
func TestRedisInterleaved(t *testing.T) {
	server := storetest.StartRedis(t)
	r := openRedis(t, server)
	first, second := newStepper(t, server), newStepper(t, server)
	schedules := 0
	for nameA, a := range operations {
		for nameB, b := range operations {
			for i, more := 1, true; more; i++ {
				for j, moreB := 1, true; moreB; j++ {
					seed(t, r)
					first.begin(t.Context(), a)
					more = first.steps(i)
					second.begin(t.Context(), b)
					moreB = second.steps(j)
					first.finish()
					second.finish()
					schedules++
					if broken := audit(t, r); broken != "" {
						t.Fatalf("%d steps of %q, %d of %q, then the rest: %s", i, nameA, j, nameB, broken)
					}
				}
			}
		}
	}
	t.Logf("%d schedules", schedules)
}

// TestRedisCutShort kills the writer after each of its round trips. Whatever is left must
// be sound but for what the operation's documentation says, and after another one, for
// all that it left, be sound altogether.
func TestRedisCutShort(t *testing.T) {
	server := storetest.StartRedis(t)
	r, s := openRedis(t, server), newStepper(t, server)
	for name, op := range operations {
		for repair, mend := range map[string]operation{"the same again": op, "delete": remove("acme"), "update": update("acme", "z")} {
			for i, more := 0, true; more; i++ {
				seed(t, r)
				s.begin(t.Context(), op)
				more = s.steps(i)
				s.die()
				_ = mend(t.Context(), r)
				_, _ = r.Consumer(t.Context(), "acme")
				if gone, err := r.Consumer(t.Context(), "acme"); err != nil || gone == nil {
					_ = r.DeleteConsumer(t.Context(), "acme") // as its documentation says
				}
				if broken := audit(t, r); broken != "" {
					t.Fatalf("%q died after %d steps, then %s: %s", name, i, repair, broken)
				}
			}
		}
	}
}

// TestRedisAnswerLost repeats each round trip of each operation, as the client does when
// it got no answer: the outcome must be the same.
func TestRedisAnswerLost(t *testing.T) {
	server := storetest.StartRedis(t)
	r, s := openRedis(t, server), newStepper(t, server)
	for name, op := range operations {
		seed(t, r)
		want := op(t.Context(), r)
		for i, more := 0, true; more; i++ {
			seed(t, r)
			s.twice = i
			var got error
			s.begin(t.Context(), func(ctx context.Context, r *store.Redis) error {
				got = op(ctx, r)
				return got
			})
			more = s.steps(i + 1)
			s.finish()
			if (got == nil) != (want == nil) || broken(t, r) != "" {
				t.Errorf("%q with round trip %d made twice: %v, %s; once: %v", name, i, got, broken(t, r), want)
			}
		}
	}
}

func broken(t *testing.T, r *store.Redis) string { return audit(t, r) }

// audit holds the books against what layout.go promises of them.
func audit(t *testing.T, r *store.Redis) string {
	t.Helper()
	ctx, db := t.Context(), r.Client()
	names, err := db.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	customIDs := map[string]string{}
	for _, name := range names {
		switch {
		case strings.HasPrefix(name, "stile:key:"):
			k := db.HGetAll(ctx, name).Val()
			if k["key"] == "" {
				continue // reserved
			}
			if problem := auditKey(ctx, db, name, k); problem != "" {
				return problem
			}
		case strings.HasPrefix(name, "stile:{c:") && strings.HasSuffix(name, "}"):
			c := db.HGetAll(ctx, name).Val()
			if c["state"] != "live" {
				continue
			}
			var consumer policy.Consumer
			if err := json.Unmarshal([]byte(c["json"]), &consumer); err != nil {
				return err.Error()
			}
			if db.ZScore(ctx, "stile:{sys}:consumers", consumer.ID).Err() != nil {
				return name + " is not listed"
			}
			if id := consumer.CustomID; id != "" {
				if customIDs[id] != "" || db.Get(ctx, "stile:ref:custom:"+id).Val() != consumer.ID+" "+c["custom"] {
					return name + " has the custom id of another"
				}
				customIDs[id] = consumer.ID
			}
		}
	}
	return ""
}

func auditKey(ctx context.Context, db *redis.Client, name string, k map[string]string) string {
	var key store.Key
	if err := json.Unmarshal([]byte(k["key"]), &key); err != nil {
		return err.Error()
	}
	c := db.HGetAll(ctx, "stile:{c:"+key.Consumer+"}").Val()
	ref := strings.TrimPrefix(name, "stile:key:") + " " + key.Consumer + " " + k["nonce"]
	member := key.ID + " " + k["nonce"]
	switch {
	case c["state"] != "live":
		return name + " is good, its consumer is not there"
	case c["json"] != k["consumer"] || c["version"] != k["version"]:
		return name + " has an old copy of its consumer"
	case db.Get(ctx, "stile:ref:key:"+key.ID).Val() != ref:
		return name + " cannot be revoked"
	case !db.SIsMember(ctx, "stile:{c:"+key.Consumer+"}:keys", member).Val():
		return name + " is not in its consumer's set"
	case db.ZScore(ctx, "stile:{sys}:keys", member).Err() != nil:
		return name + " is not listed"
	case db.TTL(ctx, name).Val() >= 0:
		return name + " expires"
	}
	return ""
}
