package store

// The scripts of the meter go by the server's clock: our own, and those of other replicas,
// may be wrong. A count's period is chosen by the caller all the same, since every key must
// be declared; a script whose time is outside of it answers {-1, time}, and is asked again.
//
// These are not to be run twice: see onceCmd. They run for nearly each request, so they do
// not call a Lua function where arithmetic does, and they hand a step on as the text that it
// came as: Redis writes a Lua number by printf, which takes as long as INCRBY itself.

// readTaken is what all begin with: it reads the clock and what is taken of each counter.
// A zero in front is corrupt too: INCRBY would fail of it, after others had been spent.
// A bucket that is full later than it can be, because the clock was set back or the limit
// changed, is one that is empty now.
// A rate's key expires at the end of the 64 s after those in which its bucket is full: as
// long as that stays within the same 64 s, there is no expiry to write.
// ARGV: since, until (µs), then step, room, expiry (unix time, or 0 for a rate) of each.
const readTaken = `
local KEYS, ARGV, call, find = KEYS, ARGV, redis.call, string.find
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
if now < ARGV[1] + 0 or now >= ARGV[2] + 0 then return {-1, now} end
local answer, fits, late, n = {1, now}, true, nil, #KEYS
for i = 1, n do
  local text, taken, room = call('GET', KEYS[i]), 0, ARGV[3*i+1] + 0
  if text then
    if #text > 16 or text ~= '0' and not find(text, '^[1-9]%d*$') then return {-2, i} end
    taken = text + 0
    if ARGV[3*i+2] == '0' then
      taken = taken - now
      if taken < 0 then taken = 0 elseif taken > room then taken, late = room, {late, i} end
    end
  end
  answer[i+2] = taken
  if taken + ARGV[3*i] > room then fits = false end
end
local function put(i, taken)
  local expiry, value = ARGV[3*i+2], taken
  if expiry == '0' then
    value = now + taken
    expiry = (math.floor(value / 64000000) + 2) * 64
  end
  call('SET', KEYS[i], value, 'EXAT', expiry)
end
`

// peekScript tells what is taken of counters.
// Answers {1 if all fit or 0, time (µs), taken of each}, {-1, time} when a period is not
// the current one, or {-2, which key} of one whose value is not a number.
var peekScript = newScript(readTaken + `
if not fits then answer[1] = 0 end
return answer
`)

// spendScript takes a step of each counter, if all of them fit. It answers as peekScript,
// with what was taken before.
var spendScript = newScript(readTaken + `
if not fits then
  while late do -- else it would be empty until that time comes
    put(late[2], answer[late[2]+2])
    late = late[1]
  end
  answer[1] = 0
  return answer
end
for i = 1, n do
  local step, taken = ARGV[3*i], answer[i+2]
  if taken > 0 and (ARGV[3*i+2] ~= '0' or (now + taken) % 64000000 + step < 64000000) then
    call('INCRBY', KEYS[i], step)
  else
    put(i, taken + step)
  end
end
return answer
`)

// lendScript gives back to one counter what is left of a lease, and takes a new one: as
// much as is asked for, and no more than a quarter of what is there.
// KEYS: counter. ARGV: since, until, given back, room, expiry as above; then unit, wanted.
// Answers {1 or 0, time, taken with the lease, lease}, {-1, time} or {-2, 1}.
var lendScript = newScript(readTaken + `
local room, unit = tonumber(ARGV[4]), tonumber(ARGV[6])
local taken = math.max(0, answer[3] - ARGV[3])
local lease = math.max(0, math.min(tonumber(ARGV[7]), math.floor((room - taken) / unit / 4)))
taken = taken + lease * unit
put(1, taken)
answer[3], answer[4] = taken, lease
return answer
`)
