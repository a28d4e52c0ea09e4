-- Acts on one job. ARGV: time, id, action (cancel, discard, retry).
-- Returns done STATE, requested, missing, refused STATE, or duplicate ID.
-- Waiting -> cancelled, discarded, available; final -> available; leased: a mark is left.
-- Invariant: an available job that goes leaves a ghost in its list, counted so that the depth
-- is right; lease drops it when it comes to it.
call('ZREM', lease, '')
touch('HLEN', jobs, meta, fin, n, uniq, serial, parked, ghost, gn, prog)
touch('ZCARD', due, fls, watch)
touch('SCARD', cancels, queues)
local id, action = ARGV[2], ARGV[3]
local rec, kept = call('HGET', jobs, id), call('HGET', fin, id)

-- Takes a waiting job out of where it waits.
local function pull(state, m, h, queue, prio)
  local key = P .. 'q:' .. queue .. ':' .. prio
  if state == 'available' then
    local entry = id .. (m.g or '')
    call('HSET', ghost, entry, queue .. ':' .. prio)
    call('HINCRBY', gn, queue .. ':' .. prio, 1)
    m.g = nil
    return
  end
  count(queue, state, -1)
  if m.st == 'serial' then
    call('LREM', P .. 'sw:' .. tostring(h.s), 1, id)
  elseif m.st == 'parked' then
    count(queue, 'parked', -1)
    call('HINCRBY', parked, tostring(h.n), -1)
    call('LREM', P .. 'pk:' .. tostring(h.n), 1, id)
  else
    call('ZREM', due, id)
  end
end

-- Puts a finished job back with attempts and crashes at zero and its errors kept.
local function redrive()
  local stop = string.find(kept, '\n', 1, true)
  local head, record = cjson.decode(string.sub(kept, 1, stop - 1)), string.sub(kept, stop + 1)
  local h = header(record)
  local keyed = string.byte(record) == 42 and type(h.u) == 'string' and tostring(h.n) .. '\0' .. h.u
  local other = keyed and call('HGET', uniq, keyed)
  if other then
    return { 'duplicate', other }
  end
  local list = P .. 'fl:' .. head.q .. ':' .. head.s .. ':' .. text(head.k)
  call('LREM', list, 1, id .. text(head.at))
  call('HDEL', fin, id)
  count(head.q, head.s, -1)
  call('HSET', jobs, id, record)
  if keyed then
    call('HSET', uniq, keyed, id)
  end
  local m, queue, prio = { e = head.e }, place({}, h)
  m.q = queue ~= head.q and head.q or nil
  push('RPUSH', id, m, head.q, prio)
  remember(id, m)
  return done({ 'done', 'available' })
end

if not rec then
  if not kept then
    return { 'missing' }
  elseif action == 'retry' then
    return redrive()
  end
  return { 'refused', string.match(kept, '"s":"(%a+)"') }
end
local m, h = memo(id), header(rec)
local queue, prio = place(m, h)
local state = stand(id, m)
if state == 'leased' then
  if action ~= 'cancel' then
    return { 'refused', state }
  end
  m.x = true
  remember(id, m)
  call('SADD', cancels, id)
  return { 'requested' }
elseif action == 'retry' then
  if m.st == 'serial' then
    return { 'refused', state }
  elseif state ~= 'available' then
    pull(state, m, h, queue, prio)
    push('RPUSH', id, m, queue, prio)
    remember(id, m)
  end
  return done({ 'done', 'available' })
end
pull(state, m, h, queue, prio)
if action == 'cancel' then
  finish(id, rec, m, queue, 'cancelled', HOUR, 'requested')
  return done({ 'done', 'cancelled' })
end
finish(id, rec, m, queue, 'discarded', WEEK, 'operator')
return done({ 'done', 'discarded' })
