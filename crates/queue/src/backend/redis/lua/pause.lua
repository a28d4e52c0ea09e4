-- Pauses or resumes a queue. ARGV: time, queue, what (forever, until, for, off), ms.
-- Returns ok. Invariant: a pause never becomes shorter but by off.
call('ZREM', lease, '')
local queue, what, ms = ARGV[2], ARGV[3], tonumber(ARGV[4])
if what == 'off' then
  call('HDEL', paused, queue)
  redis.pcall('PUBLISH', P .. 'wake', queue)
  return { 'ok' }
end
local stop = what == 'forever' and 0 or what == 'for' and now + ms or ms
local stands = tonumber(call('HGET', paused, queue))
if stop == 0 or not stands or (stands ~= 0 and stands < stop) then
  call('HSET', paused, queue, text(stop))
end
return { 'ok' }
