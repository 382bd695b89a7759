package store

import "github.com/redis/go-redis/v9"

// The scripts of redis_load.go. As the others, each touches keys of one hash tag, and may be
// run twice.

// loadConsumerScript writes a consumer with its version, or as createScript does a new one
// where that is 0.
// KEYS: consumer, its claim. ARGV: write nonce, json, custom nonce or "", version.
// Answers a status; with 'exists' the json and version that are there.
var loadConsumerScript = redis.NewScript(`
local c = redis.call('HMGET', KEYS[1], 'state', 'json', 'version', 'write')
if c[4] == ARGV[1] then return {'ok'} end
if c[1] == 'live' then return {'exists', c[2], c[3]} end
if c[1] == 'leaving' then return {'leaving'} end
if ARGV[3] ~= '' and redis.call('GET', KEYS[2]) ~= ARGV[3] then return {'overtaken'} end
local version = ARGV[4]
if version == '0' then version = tonumber(c[3] or '0') + 1 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], 'state', 'live', 'version', version,
  'json', ARGV[2], 'custom', ARGV[3], 'write', ARGV[1])
return {'ok'}
`)

// holdScript reserves a hash as reserveScript does, also in place of a writer who has held it
// for longer than any write takes, and was cut short.
// KEYS: stile:key:<hash>. ARGV: nonce, milliseconds, how many of them are left when a writer
// has taken too long. Answers 'held', 'reserved' by another, or 'taken'.
var holdScript = redis.NewScript(`
local at = redis.call('HMGET', KEYS[1], 'nonce', 'key', 'mover')
if at[1] == ARGV[1] then return 'held' end
if at[2] or at[3] then return 'taken' end
if at[1] and redis.call('PTTL', KEYS[1]) > tonumber(ARGV[3]) then return 'reserved' end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'nonce', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'held'
`)

// letGoScript frees a hash that is only reserved.
// KEYS: stile:key:<hash>. ARGV: nonce.
var letGoScript = redis.NewScript(`
local at = redis.call('HMGET', KEYS[1], 'nonce', 'key')
if at[1] == ARGV[1] and not at[2] then redis.call('DEL', KEYS[1]) end
return 1
`)

// loadKeyScript turns a reservation into a usable key with its version, as fillScript does
// into a new one. Run twice, it leaves alone what was changed in between.
// KEYS: stile:key:<hash>. ARGV: nonce, key, consumer, the consumer's version, revision.
// Answers 0 when the reservation is gone.
var loadKeyScript = redis.NewScript(`
local at = redis.call('HMGET', KEYS[1], 'nonce', 'version', 'key')
if at[1] ~= ARGV[1] then return 0 end
if at[3] then return 1 end
if not at[2] or tonumber(at[2]) < tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[1], 'consumer', ARGV[3], 'version', ARGV[4])
end
if ARGV[5] ~= '1' then redis.call('HSET', KEYS[1], 'revision', ARGV[5]) end
redis.call('HSET', KEYS[1], 'key', ARGV[2])
redis.call('PERSIST', KEYS[1])
return 1
`)

// loadCounterScript writes a counter, unless it stands higher: what was counted is newer then.
// KEYS: counter. ARGV: value, expiry (unix time). Answers nil when it is done, else the value
// that stands.
var loadCounterScript = redis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held == ARGV[1] then return false end
if held and not (tonumber(held) and tonumber(held) < tonumber(ARGV[1])) then return held end
redis.call('SET', KEYS[1], ARGV[1], 'EXAT', ARGV[2])
return false
`)
