package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// dumpPage is how much a dump asks for at a time.
const dumpPage = 1000

// Dump tells all that Redis holds, as Dumper says. It leaves out what nothing comes of: keys
// that were never finished, and what has expired. A cluster is not to be resharded meanwhile.
func (r *Redis) Dump(ctx context.Context, tell func(Record) error) error {
	for _, dump := range []func(context.Context, func(Record) error) error{
		r.dumpConsumers, r.dumpKeys, r.dumpRevoked, r.dumpCounters, r.dumpAudit,
	} {
		if err := dump(ctx, tell); err != nil {
			return err
		}
	}
	return nil
}

func (r *Redis) dumpConsumers(ctx context.Context, tell func(Record) error) error {
	for after := ""; ; {
		list, err := r.Consumers(ctx, after, dumpPage)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, c := range list {
			if err := tell(Record{Consumer: &c}); err != nil {
				return err
			}
			after = c.ID
		}
	}
}

func (r *Redis) dumpKeys(ctx context.Context, tell func(Record) error) error {
	for after := ""; ; {
		list, err := r.Keys(ctx, "", after, dumpPage)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, k := range list {
			if err := tell(Record{Key: &k}); err != nil {
				return err
			}
			after = k.ID
		}
	}
}

// dumpAudit goes by the entries' places in the stream: their own numbers may be wrong.
func (r *Redis) dumpAudit(ctx context.Context, tell func(Record) error) error {
	for from := "-"; ; {
		messages, err := r.auditPage(ctx, from)
		if err != nil || len(messages) == 0 {
			return err
		}
		for _, m := range messages {
			e := auditEntryOf(m.Values)
			if err := tell(Record{Audit: &e}); err != nil {
				return err
			}
			from = "(" + m.ID
		}
	}
}

func (r *Redis) auditPage(ctx context.Context, from string) (messages []redis.XMessage, err error) {
	defer r.observe("audit", time.Now(), &err)
	if messages, err = r.client.XRangeN(ctx, auditKey, from, "+", dumpPage).Result(); err != nil {
		return nil, fmt.Errorf("read the audit: %w", err)
	}
	return messages, nil
}

// listed is what the list of revocations says of one name, in unix milliseconds.
type listed struct{ before, until int64 }

// dumpRevoked goes by the list: whoever knows all revocations does, too.
func (r *Redis) dumpRevoked(ctx context.Context, tell func(Record) error) error {
	all, err := r.listRevoked(ctx)
	if err != nil {
		return err
	}
	for name, at := range all {
		record := RevokedRecord{ID: mark{name, at.before}.String(), Until: time.UnixMilli(at.until).UTC()}
		if err := tell(Record{Revoked: &record}); err != nil {
			return err
		}
	}
	return nil
}

// listRevoked reads the list. A subject may stand there several times, for several moments and
// until several times: the last ones count.
func (r *Redis) listRevoked(ctx context.Context) (all map[revoked]listed, err error) {
	defer r.observe("dump_revoked", time.Now(), &err)
	all, now := map[revoked]listed{}, r.Now().UnixMilli()
	var subjects []revoked
	for cursor, more := uint64(0), true; more; more = cursor != 0 {
		var texts []string
		if texts, cursor, err = r.client.ZScan(ctx, revokedIndex, cursor, "", dumpPage).Result(); err != nil {
			return nil, fmt.Errorf("list revocations: %w", err)
		}
		for i := 0; i+1 < len(texts); i += 2 {
			m, err := parseMark(texts[i])
			until, err2 := strconv.ParseFloat(texts[i+1], 64)
			if err := errors.Join(err, err2); err != nil {
				return nil, fmt.Errorf("list revocations: %w", err)
			}
			if int64(until) <= now {
				continue
			}
			was, known := all[m.name]
			if !known && m.name.kind == revokedSubject {
				subjects = append(subjects, m.name)
			}
			all[m.name] = listed{before: max(was.before, m.before), until: max(was.until, int64(until))}
		}
	}
	return all, r.forward(ctx, all, subjects)
}

// forward is for subjects whose last revocation is not in the list any more: what it says has
// moved forward what an earlier one, which is to stand for longer, says.
func (r *Redis) forward(ctx context.Context, all map[revoked]listed, subjects []revoked) error {
	values, err := pipelined(ctx, r.client, subjects, func(p redis.Pipeliner, n revoked) *redis.StringCmd {
		return p.Get(ctx, revokedKey(n))
	})
	if err != nil {
		return fmt.Errorf("read revocations: %w", err)
	}
	for i, n := range subjects {
		text, err := values[i].Result()
		if errors.Is(err, redis.Nil) {
			continue // not revoked yet, or a moment ago
		}
		before, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("revocation of a subject: %w", ErrCorrupt)
		}
		at := all[n]
		at.before = max(at.before, before)
		all[n] = at
	}
	return nil
}

// dumpCounters goes through all names of each server. A server may answer one twice.
func (r *Redis) dumpCounters(ctx context.Context, tell func(Record) error) error {
	servers, err := r.servers(ctx)
	if err != nil {
		return fmt.Errorf("read counters: %w", err)
	}
	told := map[digest8]struct{}{}
	for _, server := range servers {
		for cursor, more := uint64(0), true; more; more = cursor != 0 {
			var records []CounterRecord
			if records, cursor, err = r.counterPage(ctx, server, cursor); err != nil {
				return fmt.Errorf("read counters: %w", err)
			}
			for _, c := range records {
				name := nameDigest(c.Name)
				if _, again := told[name]; again {
					continue
				}
				told[name] = struct{}{}
				if err := tell(Record{Counter: &c}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// digest8 is enough to tell some millions of names apart.
type digest8 [8]byte

func nameDigest(texts ...string) digest8 {
	sum := framedDigest(texts...)
	return digest8(sum[:8])
}

// servers are those that hold something of their own.
func (r *Redis) servers(ctx context.Context) (servers []redis.Cmdable, err error) {
	nodes, isCluster := r.client.(*redis.ClusterClient)
	if !isCluster {
		return []redis.Cmdable{r.client}, nil
	}
	found := make(chan redis.Cmdable, math.MaxInt16) // more than a cluster can have
	err = nodes.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		found <- node
		return nil
	})
	close(found)
	for server := range found {
		servers = append(servers, server)
	}
	return servers, err
}

// counterNames is every name of a counter, and of little else.
const counterNames = "stile:{*}:[lq]*:*"

// noKey is what EXPIRETIME answers where there is nothing.
const noKey = time.Duration(-2)

// counterPage reads some counters of a server.
func (r *Redis) counterPage(ctx context.Context, server redis.Cmdable, from uint64) (records []CounterRecord, cursor uint64, err error) {
	defer r.observe("dump_counters", time.Now(), &err)
	found, cursor, err := server.Scan(ctx, from, counterNames, dumpPage).Result()
	if err != nil {
		return nil, 0, err
	}
	var names []string
	for _, name := range found {
		if _, ok := isRate(name); ok {
			names = append(names, name)
		}
	}
	type held struct {
		value   *redis.StringCmd
		expires *redis.DurationCmd
	}
	values, err := pipelined(ctx, r.client, names, func(p redis.Pipeliner, name string) held {
		return held{p.Get(ctx, name), p.ExpireTime(ctx, name)}
	})
	if err != nil {
		return nil, 0, err
	}
	for i, name := range names {
		if errors.Is(values[i].value.Err(), redis.Nil) || values[i].expires.Val() == noKey {
			continue // it has expired meanwhile
		}
		c, err := counterRecord(name, values[i].value.Val(), values[i].expires.Val())
		if err != nil {
			return nil, 0, err
		}
		if r.Now().Before(c.Expires) {
			records = append(records, c)
		}
	}
	return records, cursor, nil
}

// isRate tells the counter of a rate from that of a quota, and other names from both.
func isRate(name string) (rate, ok bool) {
	_, rest, _ := strings.Cut(name, "}:")
	rate = strings.HasPrefix(rest, "limit:")
	return rate, rate || strings.HasPrefix(rest, "quota:")
}

// counterRecord reads a counter. That of a rate says nothing any more from when its bucket is
// full, and stays for a while all the same (readTaken).
func counterRecord(name, text string, expires time.Duration) (CounterRecord, error) {
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || expires < 0 {
		return CounterRecord{}, fmt.Errorf("counter %s: %w", name, ErrCorrupt)
	}
	c := CounterRecord{Name: name, Value: value, Expires: time.Unix(0, 0).Add(expires).UTC()}
	if rate, _ := isRate(name); rate {
		c.Expires = time.UnixMicro(value).UTC()
	}
	return c, nil
}
