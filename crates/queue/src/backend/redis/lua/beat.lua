-- A worker's sign of life; parked jobs that it handles: blocked -> available (tail).
-- ARGV: time, worker, its description, then NAME VERSION pairs that it handles
-- Returns ok.
call('ZREM', lease, '')
touch('HLEN', workers, jobs, meta, parked, n, ghost)
touch('SCARD', queues)
touch('ZCARD', seen)
call('HSET', workers, ARGV[2], ARGV[3])
call('ZADD', seen, now, ARGV[2])
if call('HLEN', parked) > 0 then
  for i = 4, #ARGV, 2 do
    local list, freed = P .. 'pk:' .. ARGV[i], 0
    for _, id in ipairs(call('LPOP', list, 500) or {}) do
      local rec, m = call('HGET', jobs, id), memo(id)
      local h = rec and header(rec)
      if h and (tonumber(h.w) or 1) <= tonumber(ARGV[i + 1]) then
        local queue, prio = place(m, h)
        push('RPUSH', id, m, queue, prio)
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
return done({ 'ok' })
