-- In front of every script: the keys, the clock, counters, and what is known of a job.
-- KEYS: the shard's fixed keys in the order of keys.rs. ARGV[1]: a test's time in ms, or ''.
-- Computed keys carry the same hash tag:
--   q:QUEUE:PRIO  list of entries: id, and behind it what push.lua says, where a lease must look
--   b:TOKEN list of the ids still leased, o:TOKEN those that have succeeded, in one string,
--   x:TOKEN hash id -> how it left the batch, where that was not by success
--   took list, of the newest large batch its token and its ids: for whoever has leased it
--   pk:NAME list of parked ids; w:QUEUE:KEY, k:QUEUE, ring:QUEUE, cool:QUEUE: see ring.lua
--   set:KIND hash name -> JSON, of settings
--   ix:TERM zset of ids, of the index (index.lua)
--   fl:QUEUE:STATE:KEEP list of finished ids, see ended in job.lua, lane:LANE string
--   fw: fn: fg: fo: fr: fx: of a flow and fd: ft: fp: of its nodes, see flow.lua
-- Numbers of more than 14 digits (tokens) travel as text: cjson would round them.
local jobs, meta, due, lease, batch, last, grace, uniq, parked, n, ghost, gn, fin, fls,
  watch, prog, cancels, queues, paused, workers, seen, slast, steps, locks, flows, flook,
  todo, terms, idx, gov, lim, inuse, permit, full, rate, ord, mended = unpack(KEYS)
local P, call = string.sub(jobs, 1, -5), redis.call
local clock = call('TIME')
local micros = clock[1] * 1000000 + clock[2]
if ARGV[1] ~= '' then
  if string.sub(P, 1, 6) ~= '{test-' then
    return redis.error_reply('CLOCK a test may set the time only in a namespace test-...')
  end
  micros = ARGV[1] * 1000
end
local now = math.floor(micros / 1000)

-- Asks each key something of its type, so that a wrong type stops the script here,
-- before its first write.
local function touch(verb, ...)
  for _, key in ipairs({ ... }) do
    call(verb, key)
  end
end

local function text(number)
  return string.format('%.0f', number)
end

local tally = {}
local function count(queue, what, by)
  local field = queue .. '\0' .. what
  tally[field] = (tally[field] or 0) + by
end

-- Writes the counters, once a script, and gives the reply.
local function done(reply)
  for field, by in pairs(tally) do
    if by ~= 0 then
      call('HINCRBY', n, field, by)
    end
  end
  return reply
end
