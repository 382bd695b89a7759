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

// The audit in Redis. Both keys are of one slot, and are only ever written together:
//
//	stile:{sys}:audit       stream  id "<seq>-0"; the fields of AuditEntry, and write (nonce)
//	stile:{sys}:audit:head  string  "<seq> <hash>"
//
// Since the ids are ours, Redis itself refuses an entry that would not be the last.
const (
	auditKey     = "stile:{sys}:audit"
	auditHeadKey = "stile:{sys}:audit:head"
)

// auditAttempts bounds how often a lost race is run again. Each round somebody wins.
const auditAttempts = 100

// appendScript adds an entry if the chain still ends where it was made to follow. The
// nonce tells a repeated command, whose answer was lost, from another writer's like entry.
// KEYS: stream, head. ARGV: head that the entry follows ("" for none), head that it makes,
// id, nonce, fields and values. Answers nil when it is done, else the head that is there.
var appendScript = redis.NewScript(`
local mine = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])[1]
if mine then
  for i = 1, #mine[2], 2 do
    if mine[2][i] == 'write' and mine[2][i + 1] == ARGV[4] then return false end
  end
end
local head = redis.call('GET', KEYS[2]) or ''
if head ~= ARGV[1] then return head end
redis.call('XADD', KEYS[1], ARGV[3], 'write', ARGV[4], unpack(ARGV, 5))
redis.call('SET', KEYS[2], ARGV[2])
return false
`)

// AppendAudit adds a record to the end of the chain.
func (r *Redis) AppendAudit(ctx context.Context, rec AuditRecord) (e AuditEntry, err error) {
	defer r.observe("append_audit", time.Now(), &err)
	ctx, cancel := whole(ctx)
	defer cancel()
	head, err := r.readHead(ctx)
	if err != nil {
		return AuditEntry{}, fmt.Errorf("append to the audit: %w", err)
	}
	for range auditAttempts {
		e = rec.after(head, r.Now())
		next, err := r.append(ctx, head, e)
		if err != nil {
			return AuditEntry{}, fmt.Errorf("append to the audit: %w", err)
		}
		if next == nil {
			return e, nil
		}
		head = *next
	}
	return AuditEntry{}, fmt.Errorf("append to the audit: others were faster %d times: %w", auditAttempts, ErrConflict)
}

// append answers where the chain ends when that is not where the entry follows.
func (r *Redis) append(ctx context.Context, head AuditHead, e AuditEntry) (*AuditHead, error) {
	text, err := appendScript.Run(ctx, r.client, []string{auditKey, auditHeadKey}, appendArgs(head, e)...).Text()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	there, err := parseHead(text)
	return &there, err
}

// appendArgs are those of appendScript, for an entry that follows a head.
func appendArgs(head AuditHead, e AuditEntry) []any {
	return []any{
		headText(head), headText(e.head()), streamID(e.Seq), newNonce(),
		"seq", e.Seq, "time", e.Time, "actor", e.Actor, "action", e.Action, "object", e.Object,
		"outcome", e.Outcome, "detail", e.Detail, "prev", e.Prev, "hash", e.Hash,
	}
}

// AuditEntries lists the entries after a seq, in their order.
func (r *Redis) AuditEntries(ctx context.Context, after int64, limit int) (list []AuditEntry, err error) {
	defer r.observe("audit", time.Now(), &err)
	from := "(" + streamID(max(after, 0))
	messages, err := r.client.XRangeN(ctx, auditKey, from, "+", int64(limitOrDefault(limit))).Result()
	if err != nil {
		return nil, fmt.Errorf("read the audit: %w", err)
	}
	for _, m := range messages {
		list = append(list, auditEntryOf(m.Values))
	}
	return list, nil
}

// AuditHead is where the chain ends.
func (r *Redis) AuditHead(ctx context.Context) (head AuditHead, err error) {
	defer r.observe("audit_head", time.Now(), &err)
	if head, err = r.readHead(ctx); err != nil {
		return head, fmt.Errorf("read the audit's head: %w", err)
	}
	return head, nil
}

func (r *Redis) readHead(ctx context.Context) (AuditHead, error) {
	text, err := r.client.Get(ctx, auditHeadKey).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return AuditHead{}, err
	}
	return parseHead(text)
}

// auditEntryOf takes what is there as it is: a verifier says what is wrong with it.
func auditEntryOf(values map[string]any) AuditEntry {
	text := func(field string) string {
		s, _ := values[field].(string)
		return s
	}
	seq, _ := strconv.ParseInt(text("seq"), 10, 64)
	return AuditEntry{
		Seq: seq, Time: text("time"), Prev: text("prev"), Hash: text("hash"),
		AuditRecord: AuditRecord{
			Actor: text("actor"), Action: text("action"), Object: text("object"),
			Outcome: text("outcome"), Detail: text("detail"),
		},
	}
}

func streamID(seq int64) string { return strconv.FormatInt(seq, 10) + "-0" }

func headText(h AuditHead) string {
	if h.Seq == 0 {
		return ""
	}
	return strconv.FormatInt(h.Seq, 10) + " " + h.Hash
}

func parseHead(text string) (AuditHead, error) {
	if text == "" {
		return AuditHead{}, nil
	}
	number, hash, _ := strings.Cut(text, " ")
	seq, err := strconv.ParseInt(number, 10, 64)
	if err != nil || seq < 1 || len(hash) != 64 {
		return AuditHead{}, fmt.Errorf("head of the audit: %w", ErrCorrupt)
	}
	return AuditHead{seq, hash}, nil
}
