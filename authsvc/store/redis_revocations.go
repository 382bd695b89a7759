package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// revokeScript marks tokens as revoked. What is there moves forward only, and stands for
// the longer time.
// KEYS: stile:revoked:<kind>:<hash>. ARGV: unix milliseconds, milliseconds to live.
var revokeScript = redis.NewScript(`
local before, left = ARGV[1], tonumber(ARGV[2])
local held = redis.call('GET', KEYS[1])
if held and tonumber(held) > tonumber(before) then before = held end
left = math.max(left, redis.call('PTTL', KEYS[1]))
redis.call('SET', KEYS[1], before, 'PX', string.format('%d', left))
return 1
`)

// revokedIndex lists what is revoked, as announced, by when it can be forgotten (unix ms).
const revokedIndex = "stile:{sys}:revoked"

// revokedText is the value of what is revoked whenever it was issued.
const revokedText = "1"

func revokedKey(n revoked) string { return "stile:revoked:" + n.String() }

// Revoke ends tokens. To do so again changes nothing.
func (r *Redis) Revoke(ctx context.Context, rev Revocation) (err error) {
	if err := rev.Validate(); err != nil {
		return err
	}
	left, err := rev.left(r.Now())
	if err != nil {
		return err
	}
	defer r.observe("revoke_token", time.Now(), &err)
	m := rev.mark()
	value := revokedText
	if m.before != always {
		value = strconv.FormatInt(m.before, 10)
	}
	// Listed first: if it is cut short, who goes by the list refuses what is not revoked yet,
	// and nobody takes what is.
	_, err = r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZRemRangeByScore(ctx, revokedIndex, "-inf", strconv.FormatInt(r.Now().Add(-revokedSlack).UnixMilli(), 10))
		p.ZAddGT(ctx, revokedIndex, redis.Z{Score: float64(rev.Until.UnixMilli()), Member: m.String()})
		return nil
	})
	if err == nil {
		err = r.run(ctx, revokeScript, revokedKey(m.name), value, left.Milliseconds())
	}
	if err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	return nil
}

// revokedSlack is how much longer something is listed than it must be, for clocks differ.
const revokedSlack = 5 * time.Minute

// AllRevoked lists all that is revoked, as Revocation.ID writes it; false when that is more
// than most. Some of it may have come to its end.
func (r *Redis) AllRevoked(ctx context.Context, most int) (ids []string, all bool, err error) {
	defer r.observe("all_revoked", time.Now(), &err)
	ids, err = r.client.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: revokedIndex, ByScore: true, Start: r.Now().Add(-revokedSlack).UnixMilli(), Stop: "+inf", Count: int64(most) + 1,
	}).Result()
	if err != nil {
		return nil, false, fmt.Errorf("list revocations: %w", err)
	}
	return ids[:min(len(ids), most)], len(ids) <= most, nil
}

// Revoked tells whether a token was revoked, in one round trip.
func (r *Redis) Revoked(ctx context.Context, t TokenRef) (is bool, err error) {
	names := t.names()
	if len(names) == 0 {
		return false, nil
	}
	defer r.observe("revoked", time.Now(), &err)
	values := make([]*redis.StringCmd, len(names))
	_, err = r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, n := range names { // not MGET: they are of several slots
			values[i] = p.Get(ctx, revokedKey(n))
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("read revocations: %w", err)
	}
	for i, n := range names {
		is, err := ends(t, n, values[i])
		if is || err != nil {
			return is, err
		}
	}
	return false, nil
}

// ends tells whether what is stored under a name, if anything, ends the token.
func ends(t TokenRef, n revoked, value *redis.StringCmd) (bool, error) {
	text, err := value.Result()
	switch {
	case errors.Is(err, redis.Nil):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read revocations: %w", err)
	case n.kind != revokedSubject:
		return true, nil
	}
	before, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return false, fmt.Errorf("revocation of a subject: %w", ErrCorrupt)
	}
	return t.falls(before), nil
}
