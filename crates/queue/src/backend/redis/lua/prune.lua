-- Forgets finished jobs whose retention has passed, and workers not seen for an hour.
-- ARGV: time, limit. Returns ok, how many jobs went.
-- Invariant: a list holds one retention, so its head goes first; fls says when.
call('ZREM', lease, '')
touch('HLEN', fin, n, workers, jobs, uniq, slast, P .. 'set:worker')
touch('ZCARD', seen, watch, locks, flook)
touch('LLEN', todo)
local left, gone = tonumber(ARGV[2]), 0
for _, list in ipairs(call('ZRANGEBYSCORE', fls, '-inf', now, 'LIMIT', 0, 100)) do
  local queue, state, keep = string.match(string.sub(list, #P + 1), '^fl:([^:]+):(%a+):(%d+)$')
  local entries, old = call('LRANGE', list, 0, math.min(left, 1000) - 1), {}
  while left > 0 and entries[#old + 1] and ended(entries[#old + 1]) + keep <= now do
    old[#old + 1] = string.sub(entries[#old + 1], 1, 16)
    left = left - 1
  end
  if #old > 0 then
    call('LTRIM', list, #old, -1)
    gone = gone + erase(old)
    unindex(old)
    count(queue, state, -#old)
  end
  local head = call('LINDEX', list, 0)
  if head then
    call('ZADD', fls, ended(head) + keep, list)
  else
    call('ZREM', fls, list)
  end
end
-- A key that was held for a time: a job that lives holds it on, as any other.
for _, key in ipairs(call('ZRANGEBYSCORE', locks, '-inf', now, 'LIMIT', 0, 500)) do
  call('ZREM', locks, key)
  local id = owner(key)
  if id and not names(id, key) then
    call('HDEL', uniq, key)
  end
end
call('ZREMRANGEBYSCORE', watch, '-inf', now)
local orders = P .. 'set:worker'
for _, name in ipairs(call('HKEYS', orders)) do
  if call('HEXISTS', workers, string.match(name, '^[^ ]*')) == 0 then
    call('HDEL', orders, name)
    call('HDEL', slast, 'worker\0' .. name)
  end
end
for _, worker in ipairs(call('ZRANGEBYSCORE', seen, '-inf', now - HOUR, 'LIMIT', 0, 100)) do
  call('HDEL', workers, worker)
  call('ZREM', seen, worker)
end
-- Flows, when their time has come: what was kept long enough and drafts that nobody commits
-- go, the others are looked over.
for _, root in ipairs(call('ZRANGEBYSCORE', flook, '-inf', now, 'LIMIT', 0, 20)) do
  local w = P .. 'fw:' .. root
  local state, finished = unpack(call('HMGET', w, 'state', 'finished'))
  local alive = state == 'running' or state == 'cancelled'
  if state == 'draft' then
    call('HSET', w, 'state', 'dropped')
  end
  call('RPUSH', todo, (alive and not finished and 's' or 'p') .. root .. root .. '-0')
  call('ZADD', flook, now + 60000, root)
end
return done({ 'ok', gone })
