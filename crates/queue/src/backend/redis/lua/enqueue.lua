-- Takes in jobs: -> available (tail of queue and priority) or scheduled.
-- ARGV: time, lane, seq, guard, name, expect, last (guard '', or slot and a setting, or
--   settings and a kind with its version in expect), then
--   p QUEUE PRIO N (id record)*N       fresh, due now, without keys
--   j id record QUEUE PRIO UNIQUE CHOSEN DUE MS ODD LIMIT COST
--     UNIQUE name NUL key, or ''; DUE now in at; ODD 1 where the header does not tell the place;
--     LIMIT its limit key, or ''
-- Returns ok and one letter a j: '.' taken in, '=' and the id that stands in its place, or
--   '~' and the id of the waiting job that has become this one;
--   old (a seq that went back), no (the guard does not hold);
--   full, queue, how many wait, limit.
-- Invariant: a lane's last call, repeated, answers as it did and does nothing. No write comes
-- before the first HSET, so that a full Redis refuses the whole.
touch('HLEN', jobs, meta, uniq, n, ghost, fin, slast)
touch('ZCARD', due, terms)
touch('SCARD', queues)
local lane, seq, guard = P .. 'lane:' .. ARGV[2], tonumber(ARGV[3]), ARGV[4]
if guard == 'slot' then
  local fired = call('HGET', slast, ARGV[5])
  if not fired or string.match(fired, '^-?%d+') ~= ARGV[6] then
    return { 'no' }
  end
else
  local known, answer = string.match(call('GET', lane) or '', '^(%d+) (.*)$')
  known = tonumber(known)
  if known and known >= seq then
    return known == seq and { 'ok', answer } or { 'old' }
  end
  if guard == 'settings' and (call('HGET', slast, ARGV[5]) or '0') ~= ARGV[6] then
    return { 'no' }
  end
end
local ops, i, unique, lists = {}, 8, false, {}
while i <= #ARGV do
  local plain = ARGV[i] == 'p'
  local at = plain and i + 1 or i + 3
  local queue, prio = ARGV[at], ARGV[at + 1]
  if not lists[queue .. prio] then
    lists[queue .. prio] = touch('LLEN', P .. 'q:' .. queue .. ':' .. prio) or true
  end
  ops[#ops + 1] = { plain, i, queue, prio }
  unique = unique or (not plain and ARGV[i + 5] ~= '')
  if not plain then
    touch_keys(queue, ARGV[i + 10])
  end
  i = plain and i + 4 + 2 * ARGV[i + 3] or i + 12
end
if unique then
  touch('HLEN', gn, parked)
  touch('ZCARD', locks, lease)
end
local refusal = full(ops)
if refusal then return refusal end
local answers = {}
for _, op in ipairs(ops) do
  local plain, at, queue, prio = unpack(op)
  if plain then
    local size, ids = tonumber(ARGV[at + 3]), {}
    for k = 1, size do
      ids[k] = ARGV[at + 2 + 2 * k]
    end
    call('HSET', jobs, unpack(ARGV, at + 4, at + 3 + 2 * size))
    if call('RPUSH', P .. 'q:' .. queue .. ':' .. prio, unpack(ids)) == size then
      call('SADD', queues, queue)
      redis.pcall('PUBLISH', P .. 'wake', queue)
    end
  else
    answers[#answers + 1] = taken(at, queue, prio)
  end
end
put_all_off()
local answer = table.concat(answers)
if guard == 'slot' then
  call('HSET', slast, ARGV[5], ARGV[7] .. ':1')
else
  call('SET', lane, ARGV[3] .. ' ' .. answer, 'EX', 900)
end
return done({ 'ok', answer })
