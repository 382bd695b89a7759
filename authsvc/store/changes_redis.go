package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	changesLog   = "stile:{sys}:changes"
	changesCount = "stile:{sys}:change-seq"
	changesEpoch = "stile:{sys}:epoch"
	replicasKey  = "stile:{sys}:replicas"
)

// maxChanges is about how many changes the log keeps. A replica that falls further behind
// forgets everything.
const maxChanges = 10_000

// forgetReplica is when a replica that is not heard of is no longer listed. By then it has
// nothing left in its cache, unless stale_grace is longer than this.
const forgetReplica = 10 * time.Minute

// announceScript appends a change to the log. Announced twice, a change is applied twice.
// KEYS: log, count, epoch. ARGV: an epoch if there is none, kind, id, about how many to keep.
// Answers the change's number.
var announceScript = redis.NewScript(`
redis.call('SET', KEYS[3], ARGV[1], 'NX')
local n = redis.call('INCR', KEYS[2])
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*',
  'epoch', redis.call('GET', KEYS[3]), 'n', n, 'kind', ARGV[2], 'id', ARGV[3])
return n
`)

// beatScript notes that a replica lives and what it has applied, which is nothing if that
// was in another epoch.
// KEYS: replicas, log, count, epoch. ARGV: an epoch if there is none, replica, its host, the
// epoch and the number of the last change that it has applied.
// Answers where the log ends (epoch, number, id of the entry) and the server's time in ms.
var beatScript = redis.NewScript(`
redis.call('SET', KEYS[4], ARGV[1], 'NX')
local epoch, n, last = redis.call('GET', KEYS[4]), redis.call('GET', KEYS[3]) or '0', '0-0'
if redis.call('EXISTS', KEYS[2]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[2])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
end
local applied = ARGV[5]
if ARGV[4] ~= epoch or tonumber(applied) > tonumber(n) then applied = '0' end
local t = redis.call('TIME')
local ms = string.format('%d', t[1] * 1000 + math.floor(t[2] / 1000))
redis.call('HSET', KEYS[1], ARGV[2], applied .. ' ' .. ms .. ' ' .. ARGV[3])
return {epoch, n, last, ms}
`)

// replicasScript lists replicas, but for those that have long not been heard of, which it
// removes.
// KEYS: replicas. ARGV: how long that is, in ms.
// Answers for each: id, number applied, ms since it was seen, host.
var replicasScript = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local all, list = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  local applied, ms, host = string.match(all[i + 1], '^(%d+) (%d+) (.*)$')
  if applied and now - ms <= tonumber(ARGV[1]) then
    list[#list + 1] = {all[i], applied, string.format('%d', math.max(now - ms, 0)), host}
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return list
`)

// Announce appends a change to the log that every replica follows, and answers its number.
func (r *Redis) Announce(ctx context.Context, c Change) (n int64, err error) {
	if err := c.check(); err != nil {
		return 0, err
	}
	defer r.observe("announce", time.Now(), &err)
	keys := []string{changesLog, changesCount, changesEpoch}
	n, err = announceScript.Run(ctx, r.client, keys, newNonce(), string(c.Kind), c.ID, maxChanges).Int64()
	if err != nil {
		return 0, fmt.Errorf("announce a change: %w", err)
	}
	return n, nil
}

// Replicas lists the processes that follow the log, and those that did in the last ten
// minutes and did not end properly: they may be cut off, and still serve what they know.
func (r *Redis) Replicas(ctx context.Context) (list []Replica, err error) {
	defer r.observe("replicas", time.Now(), &err)
	rows, err := replicasScript.Run(ctx, r.client, []string{replicasKey}, forgetReplica.Milliseconds()).Slice()
	if err != nil {
		return nil, fmt.Errorf("list replicas: %w", err)
	}
	for _, row := range rows {
		of, ok := texts(row, 4)
		if !ok {
			return nil, fmt.Errorf("list replicas: %w", ErrCorrupt)
		}
		applied, err := strconv.ParseInt(of[1], 10, 64)
		ms, err2 := strconv.ParseInt(of[2], 10, 64)
		if errors.Join(err, err2) != nil {
			return nil, fmt.Errorf("list replicas: %w", ErrCorrupt)
		}
		list = append(list, Replica{ID: of[0], Host: of[3], Applied: applied, Seen: time.Duration(ms) * time.Millisecond})
	}
	return list, nil
}

// waitPoll is how often WaitApplied looks.
const waitPoll = 5 * time.Millisecond

// WaitApplied waits until every replica that is listed has applied the change n, or ctx
// ends: then it answers those that have not. It answers an error when it could not know.
func (r *Redis) WaitApplied(ctx context.Context, n int64) (slow []Replica, err error) {
	tick := time.NewTicker(waitPoll)
	defer tick.Stop()
	known := false
	for {
		list, err := r.Replicas(ctx)
		if err == nil {
			known, slow = true, behind(list, n)
			if len(slow) == 0 {
				return nil, nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if !known {
				return nil, fmt.Errorf("wait until change %d is applied: %w", n, errors.Join(ctx.Err(), err))
			}
			return slow, nil
		}
	}
}

// behind picks the replicas that have not applied the change n.
func behind(list []Replica, n int64) (slow []Replica) {
	for _, replica := range list {
		if replica.Applied < n {
			slow = append(slow, replica)
		}
	}
	return slow
}

// position is a place in the log: the epoch, the number of a change and its entry's id.
type position struct {
	epoch string
	n     int64
	id    string
}

// parseChange reads an entry of the log. It answers false for one that no stile wrote. A
// change that this version does not understand is one of everything.
func parseChange(m redis.XMessage) (at position, c Change, ok bool) {
	field := func(name string) string { text, _ := m.Values[name].(string); return text }
	n, err := strconv.ParseInt(field("n"), 10, 64)
	at = position{epoch: field("epoch"), n: n, id: m.ID}
	if err != nil || at.epoch == "" || field("kind") == "" {
		return at, c, false
	}
	c = Change{ChangeKind(field("kind")), field("id")}
	if c.check() != nil {
		c = Change{Kind: EverythingChanged}
	}
	return at, c, true
}

// entryTime is when an entry was made, by the server's clock in ms.
func entryTime(id string) int64 {
	text, _, _ := strings.Cut(id, "-")
	ms, _ := strconv.ParseInt(text, 10, 64)
	return ms
}

// texts reads a row of a script's answer.
func texts(row any, n int) (list []string, ok bool) {
	values, _ := row.([]any)
	for _, v := range values {
		text, ok := v.(string)
		if !ok {
			return nil, false
		}
		list = append(list, text)
	}
	return list, len(list) == n
}
