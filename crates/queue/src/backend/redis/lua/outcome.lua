-- Behind the moves, for settle: what follows from each outcome.

local function wait(id, m, queue, state, ms)
  call('ZADD', due, now + ms, id)
  count(queue, state, 1)
  m.st = state == 'retryable' and state or nil
end

-- One job, with all that follows from its outcome.
local function settle(queue, token, id, rec, outcome, ms, said, reason)
  local h, m = header(rec), memo(id)
  count(queue, 'leased', -1)
  if outcome == 'succeeded' then
    call('APPEND', P .. 'o:' .. token, id)
  else
    call('HSET', P .. 'x:' .. token, id, outcome)
  end
  local failed = outcome == 'retry' or (outcome == 'discard' and reason ~= 'expired')
  if outcome == 'succeeded' or failed then
    m.a = (m.a or 0) + 1
    count(queue, failed and 'failed' or 'processed', 1)
  end
  if failed then
    charge(id, h, m, m.a, said)
  elseif outcome == 'crash' then
    m.c, m.k = (m.c or 0) + 1, true
    charge(id, h, m, (m.a or 0) + 1, said)
  end
  if outcome == 'succeeded' then
    return finish(id, rec, m, queue, 'succeeded', ms, nil, said ~= '' and said or nil)
  elseif outcome == 'discard' then
    return finish(id, rec, m, queue, 'discarded', ms, reason)
  elseif outcome == 'cancel' then
    return finish(id, rec, m, queue, 'cancelled', ms, reason)
  elseif m.x then
    -- Asked for while it ran, and it did not end by itself: it must not run again.
    return finish(id, rec, m, queue, 'cancelled', HOUR, 'requested')
  elseif outcome == 'crash' and m.c >= tonumber(reason) then
    return finish(id, rec, m, queue, 'discarded', ms, 'crashed')
  end
  if place({}, h) ~= queue then
    m.q = queue
  end
  if not waits(id, h) then
    return finish(id, rec, m, queue, 'cancelled', HOUR, 'replaced')
  end
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
    push('LPUSH', id, m, queue, prio, h)
  end
  remember(id, m)
end
