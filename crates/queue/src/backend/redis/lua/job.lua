-- Behind the prelude, in every script: what is known of one job.

-- The header of a record as a table; empty when it is broken. A leading * marks a job
-- that has a unique or a limit key, or belongs to a flow.
local function header(rec)
  local from = string.byte(rec) == 42 and 2 or 1
  local stop = string.find(rec, '\n', from, true)
  local good, h = pcall(cjson.decode, string.sub(rec, from, (stop or 1) - 1))
  return good and type(h) == 'table' and h or {}
end

-- What is known of a job that left the fast path: a attempts, c crashes, k suspect,
-- x cancel requested, g generation of its list entry, st 'retryable' 'parked' 'flow', at or
-- wait until when or how long its turn in a flow is put off, e errors, q, p and l its queue,
-- priority and limit key where the header does not tell, o whether it has steps or a cursor, y
-- whether its worker has seen the cancel request.
local function memo(id)
  local json = call('HGET', meta, id)
  if not json then
    return {}
  end
  local good, m = pcall(cjson.decode, json)
  return good and type(m) == 'table' and m or {}
end

local function remember(id, m)
  if next(m) then
    call('HSET', meta, id, cjson.encode(m))
  else
    call('HDEL', meta, id)
  end
end

-- Queue and priority.
local function place(m, h)
  local queue, prio = m.q or h.q, tonumber(m.p or h.p) or 5
  return type(queue) == 'string' and queue or 'default', math.min(math.max(math.floor(prio), 0), 9)
end

-- A finished job: its head and its record, from what `fin` keeps of it. Most end in place (+,
-- the instant, how long it is kept, its queue, newline, result): their record stays in `jobs`.
local function finished(id, kept)
  local at, keep, queue = string.match(kept, '^%+(%d+) (%d+) (%S+)\n')
  if at then
    return { s = 'succeeded', at = tonumber(at), k = tonumber(keep), q = queue }, call('HGET', jobs, id) or ''
  end
  local stop = string.find(kept, '\n', 1, true)
  return cjson.decode(string.sub(kept, 1, stop - 1)), string.sub(kept, stop + 1)
end

-- When a job of a list of finished jobs ended: its entry says so behind the id, or what is kept.
local function ended(entry)
  return tonumber(#entry > 16 and string.sub(entry, 17) or string.match(call('HGET', fin, entry) or '', '^%+(%d+)')) or 0
end

-- Forgets finished jobs, and only their records: a stale entry must not take that of a live one.
local function erase(ids)
  for at, kept in ipairs(call('HMGET', fin, unpack(ids))) do
    if kept and string.byte(kept) == 43 then call('HDEL', jobs, ids[at]) end
  end
  return call('HDEL', fin, unpack(ids))
end

-- The flow of a job: the 16 bytes of its id.
local function flow_of(h)
  return (string.gsub(string.gsub(tostring(h.f), '-', ''), '%x%x', function(two)
    return string.char(tonumber(two, 16))
  end))
end

-- Whether a blocked job belongs to a flow that has not been committed: nobody sees it.
local function drafted(m, h)
  if m.st ~= 'flow' then
    return false
  end
  local state = call('HGET', P .. 'fw:' .. flow_of(h), 'state')
  return state == 'draft' or state == 'dropped'
end
