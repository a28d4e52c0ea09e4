-- Takes back expired batches: leased -> available (head), discarded (crashed), cancelled.
-- ARGV: time, limit, outage (0 or 1), ttl, the error of a lost job behind its fingerprint
-- Returns ok, then id, state, crashes of each job.
-- Invariant: only what is still in the batch's list moves, and no attempt is spent. After an
-- outage every lease gets one more ttl, once a ttl, and nobody is charged.
call('ZREM', lease, '')
touch('HLEN', jobs, meta, batch, fin, n, uniq, prog, steps, ghost, gn, permit, full, inuse, gov, mended, lim, rate,
  P .. 'set:limit')
touch('SCARD', cancels, queues)
touch('GET', ord)
for _, token in ipairs(call('ZRANGEBYSCORE', lease, '-inf', now, 'LIMIT', 0, ARGV[2])) do
  touch('LLEN', P .. 'b:' .. token)
  touch_lanes(string.match(call('HGET', batch, token) or '', '^%d(%S+)') or 'default')
end
touch('ZCARD', locks, fls, watch, terms)
local ttl, renewed = tonumber(ARGV[4]), tonumber(call('GET', grace) or 0)
local longest = math.max(ttl, tonumber(call('HGET', mended, 'ttl') or 0))
-- Where a lease ends later than any can, the server's clock has been set back: it gets one
-- more from now, so that a worker that lives renews it and a dead one does not hold it.
for _, token in ipairs(call('ZRANGEBYSCORE', lease, '(' .. text(now + longest), '+inf', 'LIMIT', 0, 1000)) do
  call('ZADD', lease, 'XX', now + longest, token)
end
if ARGV[3] == '1' and (now >= renewed or renewed > now + longest) then
  for _, token in ipairs(call('ZRANGEBYSCORE', lease, '-inf', now + ttl)) do
    call('ZADD', lease, 'XX', now + ttl, token)
  end
  call('SET', grace, text(now + ttl))
  return { 'ok' }
end
local reply = { 'ok' }
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
    local id = string.sub(ids[i], 1, 16)
    local rec = call('HGET', jobs, id)
    if rec then
      call('HSET', left, id, 'reaped')
      back(reply, queue, flag == '1' or flag == '3', id, rec)
    end
  end
  call('UNLINK', key)
  call('ZREM', lease, token)
  call('HDEL', batch, token)
  call('PEXPIRE', left, REMEMBERED)
  call('PEXPIRE', P .. 'o:' .. token, REMEMBERED)
end
heal()
if call('EXISTS', lease) == 0 then
  call('HDEL', mended, 'ttl')
end
return done(reply)
