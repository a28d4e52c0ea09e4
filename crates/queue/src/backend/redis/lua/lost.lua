-- Behind heal, for reap: what becomes of one job whose lease is over.

local function back(reply, queue, single, id, rec)
  local m, h = memo(id), header(rec)
  local state = 'available'
  count(queue, 'leased', -1)
  m.k = true
  if single then
    m.c = (m.c or 0) + 1
    charge(id, h, m, (m.a or 0) + 1, ARGV[5])
  end
  if m.x then
    state = 'cancelled'
    finish(id, rec, m, queue, state, HOUR, 'requested')
  elseif single and m.c >= (tonumber(h.c) or 3) then
    state = 'discarded'
    finish(id, rec, m, queue, state, WEEK, 'crashed')
  elseif not waits(id, h) then
    state = 'cancelled'
    finish(id, rec, m, queue, state, HOUR, 'replaced')
  else
    local home, prio = place(m, h)
    m.q = home ~= queue and queue or m.q
    push('LPUSH', id, m, queue, prio, h)
    remember(id, m)
  end
  reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = id, state, m.c or 0
end
