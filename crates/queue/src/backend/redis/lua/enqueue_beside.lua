-- The brief enqueue of many jobs, whose records do not pass through Lua: one transaction is
-- this script (`before`), the HSET of all records, and this script again (`after`). What the
-- first would refuse the second refuses as well, for nothing that it asks comes between; then
-- there is in `jobs` under these ids what was there before, whoever sends it and how late.
-- ARGV: time, lane, seq, before or after, then (QUEUE PRIO, ids one after the other)*N.
-- Returns as enqueue_brief.lua. `late` holds what a refused call would overwrite, from one to
-- the other: nobody sees it.
local jobs, queues = unpack(KEYS)
local lane, seq, late = P .. 'lane:' .. ARGV[2], tonumber(ARGV[3]), P .. 'late'

local function ids_of(all)
  local ids = {}
  for k = 1, #all / 16 do
    ids[k] = string.sub(all, 16 * k - 15, 16 * k)
  end
  return ids
end

-- Why these jobs are not taken in, as the reply; or nil.
local function refusal()
  local known, answer = string.match(call('GET', lane) or '', '^(%d+) (.*)$')
  known = tonumber(known)
  if known and known >= seq then
    return known == seq and { 'ok', answer } or { 'old' }
  end
  call('HLEN', jobs)
  for i = 5, #ARGV, 3 do
    if call('LLEN', P .. 'q:' .. ARGV[i] .. ':' .. ARGV[i + 1]) == 0 then
      call('SCARD', queues)
    end
    if call('HEXISTS', P .. 'set:queue', ARGV[i]) == 1 then
      return SLOW
    end
  end
end

-- The records that are there under these ids, put aside or back.
local function kept(back)
  if not back then
    call('UNLINK', late)
  end
  for i = 7, #ARGV, 3 do
    local ids = ids_of(ARGV[i])
    local from, to = back and late or jobs, back and jobs or late
    if back then
      call('HDEL', jobs, unpack(ids))
    end
    for k, record in ipairs(call('HMGET', from, unpack(ids))) do
      if record then
        call('HSET', to, ids[k], record)
      end
    end
  end
  if back then
    call('UNLINK', late)
  end
end

-- An error tells the full script, which says it better.
local good, refused = pcall(refusal)
refused = not good and SLOW or refused
if refused or ARGV[4] == 'before' then
  if refused then
    kept(ARGV[4] == 'after')
  end
  return refused or { 'ok' }
end
for i = 5, #ARGV, 3 do
  local ids = ids_of(ARGV[i + 2])
  if call('RPUSH', P .. 'q:' .. ARGV[i] .. ':' .. ARGV[i + 1], unpack(ids)) == #ids then
    call('SADD', queues, ARGV[i])
    redis.pcall('PUBLISH', P .. 'wake', ARGV[i])
  end
end
call('SET', lane, ARGV[3] .. ' ', 'EX', 900)
return { 'ok', '' }
