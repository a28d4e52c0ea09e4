-- Behind push, for verbs that end jobs: what is kept, and what goes.

-- What the end of a job means for its flow, by its header; see flow.lua.
local follow

-- Notes finished jobs for retention; the oldest of this list go when there are too many.
local function keep_all(queue, state, keep, entries)
  local list = P .. 'fl:' .. queue .. ':' .. state .. ':' .. text(keep)
  if call('RPUSH', list, unpack(entries)) == #entries then
    call('ZADD', fls, now + keep, list)
  end
  count(queue, state, #entries)
  local field = queue .. '\0' .. state
  local over = (call('HGET', n, field) or 0) + tally[field] - MOST_KEPT
  if over > 0 then
    local old = call('LPOP', list, math.min(over, 1000)) or {}
    for i, entry in ipairs(old) do
      old[i] = string.sub(entry, 1, 16)
    end
    erase(old)
    unindex(old)
    count(queue, state, -#old)
  end
end

-- Takes a live job's record, keys and marks away; a unique key that is held for a time stays
-- where its end is `lasting`. Returns its progress, steps and cursor, and its
-- header.
local function forget(id, rec, m, lasting)
  local progress, told = call('HGET', prog, id), {}
  call('HDEL', jobs, id)
  call('HDEL', meta, id)
  call('HDEL', prog, id)
  if m.x then
    call('SREM', cancels, id)
  end
  if m.o then
    told = call('HMGET', steps, id, id .. 'c')
    call('HDEL', steps, id, id .. 'c')
  end
  if string.byte(rec) == 42 then
    local h = header(rec)
    free(id, h, lasting)
    return progress or nil, told[1] or nil, told[2] or nil, h
  end
  return progress or nil, told[1] or nil, told[2] or nil, {}
end

-- Ends a live job. Somebody who waits for it finds it for a minute, whatever its retention.
-- Steps and cursor stay with what did not succeed: a redrive goes on from there.
local function finish(id, rec, m, queue, state, keep, why, result)
  local progress, done_steps, cursor, h = forget(id, rec, m, state ~= 'cancelled' and why ~= 'operator')
  if state == 'succeeded' then
    done_steps, cursor = nil, nil
  end
  if call('ZADD', watch, 'XX', 'CH', now + 60000, id) == 1 then
    keep = math.max(keep, 60000)
  end
  if keep > 0 then
    call('HSET', fin, id, cjson.encode({ s = state, at = now, q = queue, k = keep, a = m.a, c = m.c,
      sus = m.k, e = m.e, r = why, res = result, p = progress, sp = done_steps, cu = cursor }) .. '\n' .. rec)
    keep_all(queue, state, keep, { id .. text(now) })
  else
    unindex({ id })
  end
  if type(h.f) == 'string' then
    follow(id, flow_of(h), state, state == 'succeeded' and result or why, m)
  end
end
