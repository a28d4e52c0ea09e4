-- A worker's sign of life, or of its end; parked jobs that it handles: blocked -> available (tail).
-- ARGV: time, worker, its description ('' when it leaves), how many names of orders, these as
--   pairs NAME VALUE as it stands, then NAME VERSION pairs that it handles
-- Returns ok, then NAME VALUE of each order that it has not followed yet.
-- Invariant: an order goes when the worker has come to it, or with the worker.
call('ZREM', lease, '')
local orders, reply, first = P .. 'set:worker', { 'ok' }, 5 + 2 * ARGV[4]
touch('HLEN', workers, jobs, meta, parked, n, ghost, gn, orders, slast, gov)
touch('GET', ord)
touch('SCARD', queues)
touch('ZCARD', seen)
for i = 5, call('EXISTS', orders) * (first - 1), 2 do
  local wanted = call('HGET', orders, ARGV[i])
  if wanted and (wanted == ARGV[i + 1] or ARGV[3] == '') then
    call('HDEL', orders, ARGV[i])
    call('HDEL', slast, 'worker\0' .. ARGV[i])
    call('HINCRBY', slast, 'worker', 1)
  elseif wanted then
    reply[#reply + 1], reply[#reply + 2] = ARGV[i], wanted
  end
end
if ARGV[3] == '' then
  call('HDEL', workers, ARGV[2])
  call('ZREM', seen, ARGV[2])
  return reply
end
call('HSET', workers, ARGV[2], ARGV[3])
call('ZADD', seen, now, ARGV[2])
if call('HLEN', parked) > 0 then
  for i = first, #ARGV, 2 do
    local list, freed = P .. 'pk:' .. ARGV[i], 0
    for _, id in ipairs(call('LPOP', list, 500) or {}) do
      local rec, m = call('HGET', jobs, id), memo(id)
      local h = rec and header(rec)
      if h and (tonumber(h.w) or 1) <= tonumber(ARGV[i + 1]) then
        local queue, prio = place(m, h)
        push('RPUSH', id, m, queue, prio, h)
        remember(id, m)
        count(queue, 'blocked', -1)
        count(queue, 'parked', -1)
        freed = freed + 1
      elseif h then
        call('RPUSH', list, id)
      end
    end
    if freed > 0 and call('HINCRBY', parked, ARGV[i], -freed) <= 0 then
      call('HDEL', parked, ARGV[i])
    end
  end
end
return done(reply)
