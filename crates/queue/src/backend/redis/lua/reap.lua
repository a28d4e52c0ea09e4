-- Takes back expired batches: leased -> available (head), discarded (crashed), cancelled.
-- ARGV: time, limit, outage (0 or 1), ttl, the error of a lost job behind its fingerprint
-- Returns ok, then id, state, crashes of each job.
-- Invariant: only what is still in the batch's list moves, and no attempt is spent. After an
-- outage every lease gets one more ttl, once a ttl, and nobody is charged.
call('ZREM', lease, '')
touch('HLEN', jobs, meta, batch, fin, n, uniq, prog, steps, ghost, permit, full, inuse, gov)
touch('SCARD', cancels, queues)
touch('ZCARD', locks, fls, watch, terms)
local ttl = tonumber(ARGV[4])
if ARGV[3] == '1' and now >= tonumber(call('GET', grace) or 0) then
  for _, token in ipairs(call('ZRANGEBYSCORE', lease, '-inf', now + ttl)) do
    call('ZADD', lease, 'XX', now + ttl, token)
  end
  call('SET', grace, text(now + ttl))
  return { 'ok' }
end
local reply = { 'ok' }

local function back(queue, single, id, rec)
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

for _, token in ipairs(call('ZRANGEBYSCORE', lease, '-inf', now, 'LIMIT', 0, ARGV[2])) do
  if #reply > 3000 then
    break -- the rest with the next sweep, so that no step takes long
  end
  local key, left = P .. 'b:' .. token, P .. 'x:' .. token
  local flag, queue = string.match(call('HGET', batch, token) or '0default ', '^(%d)(%S+)')
  local ids = call('LRANGE', key, 0, -1)
  if flag > '1' and #ids > 0 then
    free_permits(ids)
  end
  free_queue(queue)
  for i = #ids, 1, -1 do
    local rec = call('HGET', jobs, ids[i])
    if rec then
      call('HSET', left, ids[i], 'reaped')
      back(queue, flag == '1' or flag == '3', ids[i], rec)
    end
  end
  call('UNLINK', key)
  call('ZREM', lease, token)
  call('HDEL', batch, token)
  call('PEXPIRE', left, REMEMBERED)
  call('PEXPIRE', P .. 'o:' .. token, REMEMBERED)
end
heal()
return done(reply)
