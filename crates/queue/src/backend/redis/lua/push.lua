-- For verbs that move jobs: into a list, out of a serial key.

local HOUR, WEEK, MOST_KEPT = 3600000, 604800000, 10000
-- How long an ended batch is remembered, so that a repeated settle answers as the first did.
local REMEMBERED = 15000

-- Makes a job available. An entry that a cancelled or moved job left behind (a ghost) must
-- never stand for this one: the entry gets a generation that no ghost has.
local function push(side, id, m, queue, prio)
  m.g, m.st = nil, nil
  while call('HEXISTS', ghost, id .. (m.g or '')) == 1 do
    m.g = (m.g or 0) + 1
  end
  if call(side, P .. 'q:' .. queue .. ':' .. prio, id .. (m.g or '')) == 1 then
    call('SADD', queues, queue)
    -- A hint: whoever may not publish still enqueues.
    redis.pcall('PUBLISH', P .. 'wake', queue)
  end
end

-- Frees the serial key that this job holds and lets the next one in, at the head. So it is
-- for a job that was let in and goes away before it is leased: nobody holds the key then.
local function unlock(id, h)
  local holder = type(h.s) == 'string' and call('HGET', serial, h.s)
  if type(h.s) ~= 'string' or (holder and holder ~= id) then
    return
  end
  call('HDEL', serial, h.s)
  local waiting = call('LPOP', P .. 'sw:' .. h.s)
  while waiting do
    local rec, m = call('HGET', jobs, waiting), memo(waiting)
    if rec and m.st == 'serial' then
      local queue, prio = place(m, header(rec))
      push('LPUSH', waiting, m, queue, prio)
      remember(waiting, m)
      return count(queue, 'blocked', -1)
    end
    waiting = call('LPOP', P .. 'sw:' .. h.s)
  end
end
