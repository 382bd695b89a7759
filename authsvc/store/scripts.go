package store

import "github.com/redis/go-redis/v9"

// Each script touches keys of one hash tag, and each may be run twice with the same
// effect as once, since the client repeats what it got no answer to.

// claimScript makes a name lead to a new ref.
// KEYS: ref. ARGV: new ref, the ref that may be replaced or "".
// Answers nil when it is done, else the ref that is in the way.
var claimScript = redis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] and held ~= ARGV[2] then return held end
redis.call('SET', KEYS[1], ARGV[1])
return false
`)

// releaseScript deletes a string if it is still what the caller wrote.
// KEYS: ref or claim. ARGV: its value.
var releaseScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
`)

// reserveScript reserves a hash for a key that is about to be made.
// KEYS: stile:key:<hash>. ARGV: nonce, milliseconds. Answers 0 when it is taken.
var reserveScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'nonce') == ARGV[1] then return 1 end
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'nonce', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
`)

// fillScript turns a reservation into a usable key. A copy of the consumer that is
// already there and newer stays.
// KEYS: stile:key:<hash>. ARGV: nonce, key, consumer, version. Answers 0 when the
// reservation is gone.
var fillScript = redis.NewScript(`
local at = redis.call('HMGET', KEYS[1], 'nonce', 'version')
if at[1] ~= ARGV[1] then return 0 end
if not at[2] or tonumber(at[2]) < tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[1], 'consumer', ARGV[3], 'version', ARGV[4])
end
redis.call('HSET', KEYS[1], 'key', ARGV[2])
redis.call('PERSIST', KEYS[1])
return 1
`)

// updateKeyScript replaces a usable key, unless it is leaving this hash.
// KEYS: stile:key:<hash>. ARGV: nonce, write nonce, key, version that it must have or "0".
// Answers a status and the version as it is now.
var updateKeyScript = redis.NewScript(`
local at = redis.call('HMGET', KEYS[1], 'nonce', 'key', 'revision', 'write', 'to')
if at[1] ~= ARGV[1] or not at[2] then return {'missing', ''} end
local revision = tonumber(at[3] or '1')
if at[4] == ARGV[2] then return {'ok', tostring(revision)} end
if at[5] then return {'leaving', ''} end
if ARGV[4] ~= '0' and tonumber(ARGV[4]) ~= revision then return {'conflict', tostring(revision)} end
redis.call('HSET', KEYS[1], 'key', ARGV[3], 'revision', revision + 1, 'write', ARGV[2])
return {'ok', tostring(revision + 1)}
`)

// usedScript notes when keys of a live consumer were used last. A deleted one is not
// brought back by it.
// KEYS: consumer, its used. ARGV: key id, minute, key id, minute, …
var usedScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'state') ~= 'live' then return 0 end
for i = 1, #ARGV, 2 do
  local at = redis.call('HGET', KEYS[2], ARGV[i])
  if not at or tonumber(at) < tonumber(ARGV[i + 1]) then
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  end
end
return 1
`)

// pushScript gives a key, usable or reserved, a newer copy of its consumer.
// KEYS: stile:key:<hash>. ARGV: nonce, consumer, version.
var pushScript = redis.NewScript(`
local at = redis.call('HMGET', KEYS[1], 'nonce', 'version')
if at[1] ~= ARGV[1] then return 0 end
if at[2] and tonumber(at[2]) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], 'consumer', ARGV[2], 'version', ARGV[3])
return 1
`)

// endScript ends a key, usable or reserved.
// KEYS: stile:key:<hash>. ARGV: nonce.
var endScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'nonce') == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
`)

// joinScript adds a key to the set of a live consumer.
// KEYS: consumer, its keys. ARGV: member. Answers json and version, or nil.
var joinScript = redis.NewScript(`
local c = redis.call('HMGET', KEYS[1], 'state', 'json', 'version')
if c[1] ~= 'live' then return false end
redis.call('SADD', KEYS[2], ARGV[1])
return {c[2], c[3]}
`)

// holdsCustomScript tells whether a consumer has, or is about to have, the custom id
// that was claimed under a nonce.
// KEYS: consumer, its claim. ARGV: nonce.
var holdsCustomScript = redis.NewScript(`
if redis.call('GET', KEYS[2]) == ARGV[1] then return 1 end
if redis.call('HGET', KEYS[1], 'custom') == ARGV[1] then return 1 end
return 0
`)

// createScript writes a new consumer. Versions go on where a deleted one of the same
// id ended.
// KEYS: consumer, its claim. ARGV: write nonce, json, custom nonce or "".
// Answers a status and the version.
var createScript = redis.NewScript(`
local c = redis.call('HMGET', KEYS[1], 'state', 'version', 'write')
if c[3] == ARGV[1] then return {'ok', c[2]} end
if c[1] == 'live' then return {'exists', ''} end
if c[1] == 'leaving' then return {'leaving', ''} end
if ARGV[3] ~= '' and redis.call('GET', KEYS[2]) ~= ARGV[3] then return {'overtaken', ''} end
local version = tonumber(c[2] or '0') + 1
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], 'state', 'live', 'version', version,
  'json', ARGV[2], 'custom', ARGV[3], 'write', ARGV[1])
return {'ok', tostring(version)}
`)

// updateScript replaces a consumer. It is 'overtaken' when the custom id changed since
// it was read.
// KEYS: consumer, its claim, its keys. ARGV: write nonce, json, custom nonce or "",
// custom nonce that was read, version that it must have or "0".
// Answers a status and the consumer as it is now: version, json, members.
var updateScript = redis.NewScript(`
local c = redis.call('HMGET', KEYS[1], 'state', 'version', 'json', 'custom', 'write')
if c[1] ~= 'live' then return {'missing'} end
local function now(status)
  local at = redis.call('HMGET', KEYS[1], 'version', 'json')
  return {status, at[1], at[2], redis.call('SMEMBERS', KEYS[3])}
end
if c[5] == ARGV[1] then return now('ok') end
if ARGV[5] ~= '0' and ARGV[5] ~= c[2] then return now('conflict') end
if c[4] ~= ARGV[4] then return {'overtaken'} end
if ARGV[3] == ARGV[1] then
  if redis.call('GET', KEYS[2]) ~= ARGV[3] then return {'overtaken'} end
  redis.call('DEL', KEYS[2])
end
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('HSET', KEYS[1], 'json', ARGV[2], 'custom', ARGV[3], 'write', ARGV[1])
return now('ok')
`)

// retireScript begins a deletion: from here on the consumer is not found, no key can
// join it, and none can be made under its id until buryScript.
// KEYS: consumer, its keys. Answers json, custom nonce and members, or nil.
var retireScript = redis.NewScript(`
local c = redis.call('HMGET', KEYS[1], 'state', 'json', 'custom')
if c[1] ~= 'live' and c[1] ~= 'leaving' then return false end
redis.call('HSET', KEYS[1], 'state', 'leaving')
return {c[2], c[3], redis.call('SMEMBERS', KEYS[2])}
`)

// buryScript ends a deletion. The version stays for a day, so that one that a client
// read before cannot be taken for one of a new consumer of the same id.
// KEYS: consumer, its keys, its used. Answers a status: 'kept' when keys are left, 'live' when
// another has ended the deletion and there is a new consumer of the same id.
var buryScript = redis.NewScript(`
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'live' then return 'live' end
if state ~= 'leaving' then return 'gone' end
if redis.call('SCARD', KEYS[2]) > 0 then return 'kept' end
redis.call('HSET', KEYS[1], 'state', 'gone')
redis.call('HDEL', KEYS[1], 'json', 'custom', 'write')
redis.call('DEL', KEYS[3])
redis.call('EXPIRE', KEYS[1], 86400)
return 'gone'
`)
