package store_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stile-gate/stile/authsvc/store"
	"github.com/stile-gate/stile/policy"
)

// snapshot answers a function that puts everything back to how it is now.
func snapshot(t *testing.T, db redis.UniversalClient) (reset func()) {
	t.Helper()
	ctx := t.Context()
	dumps := map[string]string{}
	for _, name := range db.Keys(ctx, "*").Val() {
		dumps[name] = db.Dump(ctx, name).Val()
	}
	return func() {
		_, err := db.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.FlushAll(ctx)
			for name, dump := range dumps {
				p.Restore(ctx, name, 0, dump)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// books is all that a server holds for stile.
type books struct {
	hashes  map[string]*redis.MapStringStringCmd // usable keys and consumers among them
	expires map[string]*redis.DurationCmd        // of the hashes
	refs    map[string]*redis.StringCmd
	sets    map[string]*redis.StringSliceCmd // indexes, too
}

func readBooks(t *testing.T, db redis.UniversalClient) books {
	t.Helper()
	ctx := t.Context()
	b := books{
		hashes: map[string]*redis.MapStringStringCmd{}, expires: map[string]*redis.DurationCmd{},
		refs: map[string]*redis.StringCmd{}, sets: map[string]*redis.StringSliceCmd{},
	}
	names, err := db.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, name := range names {
			b.read(ctx, p, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b books) read(ctx context.Context, p redis.Pipeliner, name string) {
	switch {
	case strings.HasPrefix(name, "stile:{sys}:"):
		b.sets[name] = p.ZRange(ctx, name, 0, -1)
	case strings.HasSuffix(name, "}:keys"):
		b.sets[name] = p.SMembers(ctx, name)
	case strings.HasSuffix(name, "}:used"):
		b.hashes[name], b.expires[name] = p.HGetAll(ctx, name), p.TTL(ctx, name)
	case strings.HasPrefix(name, "stile:key:") || strings.HasSuffix(name, "}"):
		b.hashes[name], b.expires[name] = p.HGetAll(ctx, name), p.TTL(ctx, name)
	default:
		b.refs[name] = p.Get(ctx, name)
	}
}

func (b books) hash(name string) map[string]string {
	if cmd := b.hashes[name]; cmd != nil {
		return cmd.Val()
	}
	return nil
}

func (b books) has(set, element string) bool {
	cmd := b.sets[set]
	return cmd != nil && slices.Contains(cmd.Val(), element)
}

func (b books) ref(name string) string {
	if cmd := b.refs[name]; cmd != nil {
		return cmd.Val()
	}
	return ""
}

// audit holds the books against what layout.go promises of them, and answers what is
// wrong.
func audit(t *testing.T, r *store.Redis) string {
	t.Helper()
	b := readBooks(t, r.Client())
	usable := map[string]bool{}
	customIDs := map[string]bool{}
	for name, cmd := range b.hashes {
		fields := cmd.Val()
		problem := ""
		switch {
		case fields["key"] != "":
			usable[strings.TrimPrefix(name, "stile:key:")] = true
			problem = b.auditKey(name, fields)
		case strings.HasPrefix(name, "stile:key:"):
			if b.expires[name].Val() < time.Second {
				problem = "reserved for ever"
			}
		case fields["state"] == "live":
			problem = b.auditConsumer(fields, customIDs)
		case strings.HasSuffix(name, "}:used") && b.hash(strings.TrimSuffix(name, ":used"))["state"] == "gone":
			problem = "outlives its consumer"
		}
		if problem != "" {
			return name + ": " + problem
		}
	}
	keys, err := r.Keys(t.Context(), "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if !usable[k.Hash] {
			return "key " + k.ID + " is listed twice, or wrongly"
		}
		delete(usable, k.Hash)
	}
	return ""
}

func (b books) auditKey(name string, k map[string]string) string {
	var key store.Key
	if err := json.Unmarshal([]byte(k["key"]), &key); err != nil {
		return err.Error()
	}
	c := b.hash("stile:{c:" + key.Consumer + "}")
	hash := strings.TrimPrefix(name, "stile:key:")
	member := key.ID + " " + k["nonce"]
	switch {
	case c["state"] != "live":
		return "usable, and its consumer is not there"
	case c["json"] != k["consumer"] || c["version"] != k["version"]:
		return "an old copy of its consumer"
	case !leadsTo(b.ref("stile:ref:key:"+key.ID), hash, key.Consumer, k["nonce"], k["to"]):
		return "cannot be revoked"
	case k["mover"] != "":
		return "still looks reserved"
	case !b.has("stile:{c:"+key.Consumer+"}:keys", member):
		return "not in its consumer's set"
	case !b.has("stile:{sys}:keys", member):
		return "not listed"
	case b.expires[name].Val() >= 0:
		return "expires"
	}
	return ""
}

// leadsTo tells whether a ref leads to a key under a hash. One that is closed, to move to
// another, needs a ref that names both.
func leadsTo(ref, hash, consumer, nonce, to string) bool {
	if to != "" {
		return ref == to+" "+consumer+" "+nonce+" "+hash
	}
	new, former, _ := strings.Cut(ref, " "+consumer+" "+nonce)
	return new == hash || former == " "+hash
}

func (b books) auditConsumer(c map[string]string, customIDs map[string]bool) string {
	var consumer policy.Consumer
	if err := json.Unmarshal([]byte(c["json"]), &consumer); err != nil {
		return err.Error()
	}
	if !b.has("stile:{sys}:consumers", consumer.ID) {
		return "not listed"
	}
	id := consumer.CustomID
	if id == "" {
		return ""
	}
	if customIDs[id] || b.ref("stile:ref:custom:"+id) != consumer.ID+" "+c["custom"] {
		return "has the custom id of another"
	}
	customIDs[id] = true
	return ""
}
