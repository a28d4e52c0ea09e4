-- For enqueue: the newest wins.

-- A job that waits becomes the new one, but for its id, its state and its place; with
-- `put_off` it is due when the new one would be, and within the limit of its first enqueue.
-- False where nothing waits: its id is another's by now, it runs, is to be cancelled, belongs to a flow, or has finished.
local function replace(id, value, rec, queue, prio, odd, put_off)
  local old, new = call('HGET', jobs, id), header(rec)
  if not old or unique_of(header(old)) ~= unique_of(new) then
    return false
  end
  local m, h = memo(id), header(old)
  local scope = scope_of(h)
  -- Where the start gives the key up its holder is not leased: no batch need be looked at.
  local state, at = stand(id, m, (scope.s or scope.l) and {} or nil)
  if state == 'leased' or m.x or h.f or new.f then
    return false
  end
  local from, was = place(m, h)
  local latest = tonumber(string.sub(value, 17))
  if scope_of(new).w then
    call('ZADD', locks, 'NX', now + scope_of(new).w, unique_of(new))
  end
  call('HSET', jobs, id, rec)
  if h.g or h.d or new.g or new.d then
    index(id, new)
  end
  put_off = put_off and latest and math.min(put_off, latest) or put_off
  local key_was, cost_was = governed(m, h)
  local key, cost = governed({}, new)
  local moved = from ~= queue or was ~= prio or key_was ~= key or cost_was ~= cost
  moved = moved or not key and tail(m, h) ~= tail(m, new)
  local off = put_off and put_off > now and state == 'available'
  if state == 'scheduled' or off then
    pull(id, state, m, h, from, was)
    call('ZADD', due, put_off or at, id)
    call('SADD', queues, queue)
    count(queue, 'scheduled', 1)
  elseif state == 'retryable' then
    count(from, state, -1)
    count(queue, state, 1)
    call('SADD', queues, queue)
  elseif moved then
    pull(id, state, m, h, from, was)
    m.l = nil
    push('RPUSH', id, m, queue, prio, new)
  end
  m.q, m.p, m.l = odd and queue or nil, odd and prio or nil, nil
  remember(id, m)
  return true
end
