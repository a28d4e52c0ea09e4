-- In front of push: the governed lane. A job with a limit key waits in w:QUEUE:KEY, a sorted
-- set by priority and place. A key that holds work is in k:QUEUE, and waits in one place more:
-- in ring:QUEUE for its turn, in `full` for a permit, or in cool:QUEUE until it may spend.
local places, joined = nil, {}

-- The limit key of a job, NAME/KEY, and its cost; nil for one of the plain lane.
local function governed(m, h)
  local l = type(h.l) == 'table' and h.l
  local cost = math.max(1, l and tonumber(l[3]) or 1)
  if m.l then
    return m.l, 1
  elseif type(h.s) == 'string' then
    return 'serial/' .. h.s, cost
  elseif l then
    return tostring(l[1]) .. '/' .. tostring(l[2]), cost
  end
end

-- The job as an entry of its set: its id, and its cost where that is not 1.
local function member(id, cost)
  return cost == 1 and id or id .. text(cost)
end

-- Gives keys a turn.
local function ring(queue, keys)
  if call('RPUSH', P .. 'ring:' .. queue, unpack(keys)) == #keys then
    redis.pcall('PUBLISH', P .. 'wake', queue)
  end
end

-- Asks the keys of a governed lane for their type, once a queue.
local touched = {}
local function touch_keys(queue, limit)
  if limit == '' or touched[queue] then
    return
  end
  touched[queue] = true
  touch('HLEN', gov)
  touch('SCARD', P .. 'k:' .. queue)
  touch('LLEN', P .. 'ring:' .. queue)
  touch('GET', ord)
end

local function join(side, id, queue, prio, key, cost)
  places = (places or tonumber(call('GET', ord) or 0)) + 1
  local place = side == 'LPUSH' and -places or places
  call('ZADD', P .. 'w:' .. queue .. ':' .. key, prio * 1e13 + 5e12 + place, member(id, cost))
  joined[queue] = (joined[queue] or 0) + 1
  if call('SADD', P .. 'k:' .. queue, key) == 1 then
    call('SADD', queues, queue)
    ring(queue, { key })
  end
end

-- Takes a waiting job out of its set. The key finds out at its next turn.
local function unjoin(id, queue, key, cost)
  local gone = call('ZREM', P .. 'w:' .. queue .. ':' .. key, member(id, cost))
  joined[queue] = (joined[queue] or 0) - gone
end

-- Writes how many wait in the governed lanes, then the counters.
local counters_done = done
local function done(reply)
  if places then
    call('SET', ord, text(places))
  end
  for queue, by in pairs(joined) do
    if by ~= 0 and call('HINCRBY', gov, queue, by) <= 0 then
      call('HDEL', gov, queue)
    end
  end
  return counters_done(reply)
end
