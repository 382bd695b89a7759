package store

import "github.com/redis/go-redis/v9"

// The scripts of redis_rehash.go. As the others, each touches keys of one hash tag, and may
// be run twice.

// takeScript reserves a hash for a key that is about to move there, in place of whoever
// else was about to move it. The mark has the time in it: if the client repeats this, and
// the first one arrives late, that must not be taken for the second.
// KEYS: stile:key:<hash>. ARGV: nonce, mover, milliseconds. Answers a status and the mark:
// 'held', 'filled' when the key is there already, or 'taken' by another.
var takeScript = redis.NewScript(`
local at = redis.call('HMGET', KEYS[1], 'nonce', 'key')
if at[1] and at[1] ~= ARGV[1] then return {'taken', ''} end
if at[2] then return {'filled', ''} end
local time = redis.call('TIME')
local mark = ARGV[2] .. ':' .. time[1] .. ':' .. time[2]
redis.call('HSET', KEYS[1], 'nonce', ARGV[1], 'mover', mark)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'held', mark}
`)

// untakeScript gives back what a mover has taken and not filled in.
// KEYS: stile:key:<hash>. ARGV: nonce, mark. Answers 0 when it was not its own any more.
var untakeScript = redis.NewScript(`
local at = redis.call('HMGET', KEYS[1], 'nonce', 'mover')
if at[1] ~= ARGV[1] or at[2] ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
return 1
`)

// swapScript makes a ref another one. Unlike claimScript it does not bring one back.
// KEYS: ref. ARGV: ref as it is, ref as it shall be. Answers 0 when it is neither.
var swapScript = redis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held == ARGV[2] then return 1 end
if held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
`)

// closeScript lets no update of a usable key come after it.
// KEYS: stile:key:<hash>. ARGV: nonce, hash that it moves to. Answers key, revision or ""
// and write nonce or "", or nil when there is none.
var closeScript = redis.NewScript(`
local at = redis.call('HMGET', KEYS[1], 'nonce', 'key', 'to', 'revision', 'write')
if at[1] ~= ARGV[1] or not at[2] then return false end
if at[3] and at[3] ~= ARGV[2] then return false end
redis.call('HSET', KEYS[1], 'to', ARGV[2])
return {at[2], at[4] or '', at[5] or ''}
`)

// moveInScript makes a key usable under the hash that a mover has taken. A copy of the
// consumer that is already there and newer stays.
// KEYS: stile:key:<hash>. ARGV: nonce, mark, key, consumer, version, revision or "", write
// nonce or "". Answers 0 when it is not the mover's any more, and the key is not there.
var moveInScript = redis.NewScript(`
local at = redis.call('HMGET', KEYS[1], 'nonce', 'mover', 'key', 'version')
if at[1] ~= ARGV[1] then return 0 end
if at[3] then return 1 end
if at[2] ~= ARGV[2] then return 0 end
if not at[4] or tonumber(at[4]) < tonumber(ARGV[5]) then
  redis.call('HSET', KEYS[1], 'consumer', ARGV[4], 'version', ARGV[5])
end
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'revision', ARGV[6]) end
if ARGV[7] ~= '' then redis.call('HSET', KEYS[1], 'write', ARGV[7]) end
redis.call('HSET', KEYS[1], 'key', ARGV[3])
redis.call('HDEL', KEYS[1], 'mover')
redis.call('PERSIST', KEYS[1])
return 1
`)

// leaveScript takes a key away from a hash that it has moved from.
// KEYS: stile:key:<hash>. ARGV: nonce, hash that it has moved to.
var leaveScript = redis.NewScript(`
local at = redis.call('HMGET', KEYS[1], 'nonce', 'to')
if at[1] == ARGV[1] and at[2] == ARGV[2] then redis.call('DEL', KEYS[1]) end
return 1
`)
