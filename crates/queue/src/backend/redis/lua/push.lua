-- For verbs that move jobs: into where they wait for a lease.

local HOUR, WEEK, MOST_KEPT = 3600000, 604800000, 10000
-- How long an ended batch is remembered, so that a repeated settle answers as the first did.
local REMEMBERED = 15000

-- Asks all in which jobs of a queue may wait for its type.
local function touch_lanes(queue)
  for prio = 0, 9 do
    touch('LLEN', P .. 'q:' .. queue .. ':' .. prio)
  end
  touch('SCARD', P .. 'k:' .. queue)
  touch('LLEN', P .. 'ring:' .. queue)
  touch('ZCARD', P .. 'cool:' .. queue)
end

-- What stands behind an id in its list: nothing for a job of which a lease need know nothing
-- more, so that one look at the length of all entries finds the others; else a generation.
local function tail(m, h)
  local scope = type(h.u) == 'string' and type(h.o) == 'table' and h.o
  return m.g or scope and (scope.s or scope.l) and 0 or ''
end

-- Makes a job available. An entry that a cancelled or moved job left behind (a ghost) must
-- never stand for this one: the entry gets a generation that no ghost has.
local function push(side, id, m, queue, prio, h)
  m.g, m.st = nil, nil
  local key, cost = governed(m, h)
  if key then
    return join(side, id, queue, prio, key, cost)
  end
  m.g = next(m) and 0 or nil
  while call('HEXISTS', ghost, id .. tail(m, h)) == 1 do
    m.g = (m.g or 0) + 1
  end
  local name, behind = queue .. ':' .. prio, tail(m, h)
  if behind ~= '' then
    -- Until the list has been empty its entries are looked at before they are leased.
    call('HSET', gn, name .. '+', 1)
  end
  if call(side, P .. 'q:' .. name, id .. behind) == 1 then
    call('SADD', queues, queue)
    -- A hint: whoever may not publish still enqueues.
    redis.pcall('PUBLISH', P .. 'wake', queue)
  end
end
