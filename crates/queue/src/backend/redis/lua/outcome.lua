-- Behind the moves, for settle: what follows from each outcome.

-- Many successes at once; those with a memo, progress or a waiter one by one.
local function succeed(queue, keep, ids, results)
  local size, at = #ids, text(now)
  local m = call('HLEN', meta) > 0 and call('HMGET', meta, unpack(ids))
  local p = call('HLEN', prog) > 0 and call('HMGET', prog, unpack(ids))
  local w = call('ZCARD', watch) > 0 and call('ZMSCORE', watch, unpack(ids))
  local recs = (keep > 0 or m or p or w) and call('HMGET', jobs, unpack(ids))
  count(queue, 'leased', -size)
  count(queue, 'processed', size)
  if not recs then
    return call('HDEL', jobs, unpack(ids))
  end
  local plain, records, entries = {}, {}, {}
  local head = '{"s":"succeeded","at":' .. at .. ',"q":"' .. queue .. '","k":' .. text(keep) .. ',"a":1'
  for i, id in ipairs(ids) do
    local rec = recs[i]
    if rec and ((m and m[i]) or (p and p[i]) or (w and w[i])) then
      local known = memo(id)
      known.a = (known.a or 0) + 1
      finish(id, rec, known, queue, 'succeeded', keep, nil, results and results[i] or nil)
    else
      plain[#plain + 1] = id
      if keep > 0 and rec then
        local result = results and ',"res":' .. cjson.encode(results[i]) or ''
        records[#records + 1], records[#records + 2] = id, head .. result .. '}\n' .. rec
        entries[#entries + 1] = id .. at
      end
    end
  end
  if #plain > 0 then
    call('HDEL', jobs, unpack(plain))
  end
  if #entries > 0 then
    call('HSET', fin, unpack(records))
    keep_all(queue, 'succeeded', keep, entries)
  end
end

local function wait(id, m, queue, state, ms)
  call('ZADD', due, now + ms, id)
  count(queue, state, 1)
  m.st = state == 'retryable' and state or nil
end

-- One job, with all that follows from its outcome.
local function settle(queue, token, id, rec, outcome, ms, said, reason)
  local h, m = header(rec), memo(id)
  count(queue, 'leased', -1)
  if outcome ~= 'succeeded' then
    call('HSET', P .. 'x:' .. token, id, outcome)
  end
  if outcome == 'succeeded' or outcome == 'retry' or outcome == 'discard' then
    m.a = (m.a or 0) + 1
    count(queue, outcome == 'succeeded' and 'processed' or 'failed', 1)
  end
  if outcome == 'retry' or outcome == 'discard' then
    blame(m, m.a, said)
  end
  if outcome == 'succeeded' then
    return finish(id, rec, m, queue, 'succeeded', ms, nil, said ~= '' and said or nil)
  elseif outcome == 'discard' then
    return finish(id, rec, m, queue, 'discarded', ms, reason)
  elseif outcome == 'cancel' then
    return finish(id, rec, m, queue, 'cancelled', ms, reason)
  end
  if place({}, h) ~= queue then
    m.q = queue
  end
  if m.x then
    call('SREM', cancels, id)
  end
  unlock(id, h)
  if outcome == 'retry' then
    wait(id, m, queue, 'retryable', ms)
  elseif outcome == 'snooze' then
    wait(id, m, queue, 'scheduled', ms)
  elseif outcome == 'park' then
    local name = tostring(h.n)
    m.st = 'parked'
    call('RPUSH', P .. 'pk:' .. name, id)
    call('HINCRBY', parked, name, 1)
    count(queue, 'blocked', 1)
    count(queue, 'parked', 1)
  else
    local _, prio = place(m, h)
    push('LPUSH', id, m, queue, prio)
  end
  remember(id, m)
end
