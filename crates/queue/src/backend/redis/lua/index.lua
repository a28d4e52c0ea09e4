-- Behind job: the index of the jobs that have tags, metadata or errors, and of no other.
--   ix:TERM zset id -> when it was made, terms zset of the TERMs in use (all at 0),
--   idx hash id -> its terms, a line break before each
--   TERM is g:TAG, d:KEY NUL VALUE, or e:FINGERPRINT of the newest error, which comes last.
-- What removes the last record of a job takes it out of the index in the same step.

-- Asked before the first write, so that a key of another type stops the script here.
local indexed = call('HLEN', idx) > 0
if indexed then
  touch('ZCARD', terms)
end

-- When a job was made: its header says so, or its id, or nobody knows better than now.
local function made(id, h)
  local b = { string.byte(id, 1, 7) }
  if type(h.m) == 'number' then
    return text(h.m)
  elseif b[7] and math.floor(b[7] / 16) == 7 then
    return text(((((b[1] * 256 + b[2]) * 256 + b[3]) * 256 + b[4]) * 256 + b[5]) * 256 + b[6])
  end
  return text(now)
end

local function enter(id, term, at)
  call('ZADD', P .. 'ix:' .. term, at, id)
  call('ZADD', terms, 0, term)
  indexed = true
end

local function leave(id, term)
  local key = P .. 'ix:' .. term
  call('ZREM', key, id)
  if call('EXISTS', key) == 0 then
    call('ZREM', terms, term)
  end
end

-- Indexes a job by its newest error, and by no older one.
local function index_error(id, h, print)
  local known = call('HGET', idx, id) or ''
  local rest, old = string.match(known, '^(.*)\n(e:[^\n]*)$')
  local term = 'e:' .. print
  if old == term then
    return
  elseif old then
    leave(id, old)
  end
  enter(id, term, made(id, h))
  call('HSET', idx, id, (rest or known) .. '\n' .. term)
end

local function unindex(ids)
  local known = indexed and #ids > 0 and call('HMGET', idx, unpack(ids)) or {}
  for i, id in ipairs(ids) do
    if known[i] then
      for term in string.gmatch(known[i], '[^\n]+') do
        leave(id, term)
      end
      call('HDEL', idx, id)
    end
  end
end

-- Adds to a job's errors; the newest 25 stay.
local function blame(m, attempt, said)
  m.e = m.e or {}
  table.insert(m.e, { at_ms = now, attempt = attempt, error = said })
  if #m.e > 25 then
    table.remove(m.e, 1)
  end
end

-- The same for an error behind its fingerprint: the job is found by it.
local function charge(id, h, m, attempt, said)
  blame(m, attempt, string.sub(said, 13))
  index_error(id, h, string.sub(said, 1, 12))
end
