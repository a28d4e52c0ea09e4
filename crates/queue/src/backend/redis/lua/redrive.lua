-- Behind the moves, for control: back from the end.

-- Puts a finished job back with attempts and crashes at zero and its errors kept.
local function redrive(id, kept)
  local head, record = finished(id, kept)
  if string.byte(kept) == 43 and call('HEXISTS', jobs, id) == 0 then
    return { 'missing' }
  end
  local h = header(record)
  local keyed = string.byte(record) == 42 and unique_of(h)
  local other = keyed and held(keyed)
  if other and other ~= id then
    return { 'duplicate', other }
  end
  local list = P .. 'fl:' .. head.q .. ':' .. head.s .. ':' .. text(head.k)
  if call('LREM', list, 0, id) == 0 then
    call('LREM', list, 0, id .. text(head.at))
  end
  call('HDEL', fin, id)
  count(head.q, head.s, -1)
  call('HSET', jobs, id, record)
  if keyed and not other then
    -- It is wanted now: where there is a longest wait, it is over.
    hold(keyed, id, { m = scope_of(h).m and 0 })
  end
  local m, queue, prio = { e = head.e }, place({}, h)
  m.q = queue ~= head.q and head.q or nil
  for field, kept_text in pairs({ [id] = head.sp, [id .. 'c'] = head.cu }) do
    call('HSET', steps, field, kept_text)
    m.o = true
  end
  push('RPUSH', id, m, head.q, prio, h)
  remember(id, m)
  return done({ 'done', 'available' })
end
