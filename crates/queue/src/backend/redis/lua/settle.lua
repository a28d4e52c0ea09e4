-- Ends leases: leased -> succeeded, retryable, scheduled, discarded, cancelled, available, blocked.
-- ARGV: time, plain (1 when no i follows), then
--   s TOKEN KEEP N RESULTS id*N [result*N]    successes without keys; RESULTS 0 or 1
--   i TOKEN id OUTCOME MS TEXT REASON         one job; MS keep or wait; TEXT error or result
-- Returns ok and one letter a job, in order: d done, s stale.
-- Invariant: a job moves only if it was in the list of the batch whose token is given, and
-- leaves that list in the same step; what left a batch is remembered a minute after its end.
call('ZREM', lease, '')
touch('HLEN', jobs, fin, n, batch)
touch('ZCARD', fls)
if ARGV[2] == '0' or call('HLEN', meta) + call('HLEN', prog) + call('ZCARD', watch) > 0 then
  touch('HLEN', meta, prog, uniq, serial, parked, ghost)
  touch('SCARD', cancels, queues)
  touch('ZCARD', due, watch)
end
local answers, homes = {}, {}

-- The queue of a live batch, or false.
local function home(token)
  if homes[token] == nil then
    local record = call('HGET', batch, token)
    homes[token] = record and call('ZSCORE', lease, token) and string.match(record, '^%d(%S+)') or false
  end
  return homes[token]
end

-- A settle of what is not in the batch: the very one that took it out, or a stale one.
local function gone(token, id, outcome)
  local all, from = call('GET', P .. 'o:' .. token) or '', 1
  repeat
    local found = string.find(all, id, from, true)
    from = (found or 0) + 1
  until not found or found % 16 == 1
  local how = from > 1 and (call('HGET', P .. 'x:' .. token, id) or 'succeeded')
  return how == outcome and 'd' or 's'
end

-- Takes ids out of a batch; true for all of it in its order, else those that were in it, by id.
local function out(token, ids)
  local key, was = P .. 'b:' .. token, {}
  if call('LLEN', key) == #ids and table.concat(call('LRANGE', key, 0, -1)) == table.concat(ids) then
    call('UNLINK', key)
    return true
  elseif #ids <= 8 then
    for _, id in ipairs(ids) do
      was[id] = call('LREM', key, 1, id) == 1 or was[id]
    end
    return was
  end
  local members, asked, rest = call('LRANGE', key, 0, -1), {}, {}
  for _, id in ipairs(ids) do
    asked[id] = true
  end
  for _, id in ipairs(members) do
    if asked[id] then
      was[id] = true
    else
      rest[#rest + 1] = id
    end
  end
  call('UNLINK', key)
  if #rest > 0 then
    call('RPUSH', key, unpack(rest))
  end
  return was
end

local i = 3
while i <= #ARGV do
  local token = ARGV[i + 1]
  local queue = home(token)
  if ARGV[i] == 's' then
    local keep, size, ids, good = tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), {}, {}
    local asked = { unpack(ARGV, i + 5, i + 4 + size) }
    local results = ARGV[i + 4] == '1' and { unpack(ARGV, i + 5 + size, i + 4 + 2 * size) }
    local was = queue and out(token, asked) or {}
    if was == true then
      ids = asked
      answers[#answers + 1] = string.rep('d', size)
    else
      local all = results
      results = all and {}
      for k, id in ipairs(asked) do
        if was[id] and not good[id] then
          good[id] = true
          ids[#ids + 1] = id
          if all then
            results[#ids] = all[k]
          end
        end
        answers[#answers + 1] = good[id] and 'd' or gone(token, id, 'succeeded')
      end
    end
    if #ids > 0 then
      succeed(queue, keep, ids, results)
    end
    i = i + 5 + size * (results and 2 or 1)
  else
    local id, outcome = ARGV[i + 2], ARGV[i + 3]
    local rec = queue and call('HGET', jobs, id)
    if rec and call('LREM', P .. 'b:' .. token, 1, id) == 1 then
      settle(queue, token, id, rec, outcome, tonumber(ARGV[i + 4]), ARGV[i + 5], ARGV[i + 6])
      answers[#answers + 1] = 'd'
    else
      answers[#answers + 1] = gone(token, id, outcome)
    end
    i = i + 7
  end
end
for token, queue in pairs(homes) do
  if queue and call('EXISTS', P .. 'b:' .. token) == 0 then
    call('ZREM', lease, token)
    call('HDEL', batch, token)
    call('PEXPIRE', P .. 'o:' .. token, 60000)
    call('PEXPIRE', P .. 'x:' .. token, 60000)
  end
end
return done({ 'ok', table.concat(answers) })
