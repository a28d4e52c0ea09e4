-- The brief enqueue: as enqueue.lua, of jobs due now, without keys or a guard, into queues
-- without rules.
-- The type of `jobs` is asked by the first write itself.
-- ARGV: time, lane, seq, '', '', '', '', then p QUEUE PRIO N (id record)*N as in enqueue.lua.
local jobs, queues = unpack(KEYS)
local lane, seq = P .. 'lane:' .. ARGV[2], tonumber(ARGV[3])
local known, answer = string.match(call('GET', lane) or '', '^(%d+) (.*)$')
known = tonumber(known)
if known and known >= seq then
  return known == seq and { 'ok', answer } or { 'old' }
end
local i = 8
while i <= #ARGV do
  if call('LLEN', P .. 'q:' .. ARGV[i + 1] .. ':' .. ARGV[i + 2]) == 0 then
    call('SCARD', queues)
  end
  if call('HEXISTS', P .. 'set:queue', ARGV[i + 1]) == 1 then
    return SLOW
  end
  i = i + 4 + 2 * ARGV[i + 3]
end
i = 8
while i <= #ARGV do
  local queue, size, ids = ARGV[i + 1], tonumber(ARGV[i + 3]), {}
  for k = 1, size do
    ids[k] = ARGV[i + 2 + 2 * k]
  end
  call('HSET', jobs, unpack(ARGV, i + 4, i + 3 + 2 * size))
  if call('RPUSH', P .. 'q:' .. queue .. ':' .. ARGV[i + 2], unpack(ids)) == size then
    call('SADD', queues, queue)
    redis.pcall('PUBLISH', P .. 'wake', queue)
  end
  i = i + 4 + 2 * size
end
call('SET', lane, ARGV[3] .. ' ', 'EX', 900)
return { 'ok', '' }
