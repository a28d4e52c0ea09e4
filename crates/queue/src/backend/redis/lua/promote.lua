-- Makes due jobs available, earliest first: scheduled, retryable -> available (tail).
-- Then flows go on, where other scripts left something of them to do.
-- ARGV: time, limit. Returns ok, how many, and when the next is due or ''.
call('ZREM', due, '')
touch('HLEN', jobs, meta, ghost, n, fin, gn, uniq, parked, prog, gov)
touch('GET', ord)
touch('SCARD', queues, cancels)
touch('LLEN', todo)
touch('ZCARD', flows, flook, watch, fls)
local ids = call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, ARGV[2])
for _, id in ipairs(ids) do
  local rec, m = call('HGET', jobs, id), memo(id)
  call('ZREM', due, id)
  if rec then
    local h = header(rec)
    local queue, prio = place(m, h)
    count(queue, m.st == 'retryable' and 'retryable' or 'scheduled', -1)
    push('RPUSH', id, m, queue, prio, h)
    remember(id, m)
  end
end
tend()
local reply = done({ 'ok', #ids, call('ZRANGE', due, 0, 0, 'WITHSCORES')[2] or '' })
if call('EXISTS', todo) == 1 then
  reply[3] = text(now)
end
return reply
