-- The brief settle: as settle.lua, of successes that are the next of their batch, without a
-- memo, progress, waiter, tag or limit.
-- ARGV: time, 1, then s TOKEN KEEP N RESULTS IDS [result*N] as in settle.lua.
local jobs, lease, batch, n, fin, fls, meta, prog, watch, idx, full, lim = unpack(KEYS)
local MOST_KEPT, REMEMBERED, micros = 10000, 15000, clock()
if not micros then
  return SLOW
end
local now = math.floor(micros / 1000)
call('ZREM', lease, '')
call('HLEN', batch)
call('HLEN', n)
call('HLEN', jobs)
local metas, progs, waits = call('HLEN', meta) > 0, call('HLEN', prog) > 0, call('ZCARD', watch) > 0
local indexed, limited = call('HLEN', idx) > 0, call('EXISTS', full, lim) > 0
local plans, seen, letters, i = {}, {}, {}, 3

local function any(found)
  for k = 1, #found do
    if found[k] then
      return true
    end
  end
end

while i <= #ARGV do
  local token, keep, size = ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local flag, queue = string.match(call('HGET', batch, token) or '', '^(%d)(%S+)')
  local key, all = P .. 'b:' .. token, P .. 'o:' .. token
  -- As in fence.lua: the ids are the next ones of the batch. They are taken from there, because
  -- as arguments each is made and freed once more.
  local ids = call('LRANGE', key, 0, size - 1)
  call('STRLEN', all)
  if seen[token] or not queue or flag > '1' or not call('ZSCORE', lease, token) or table.concat(ids) ~= ARGV[i + 5]
    or limited and (call('HLEN', full) > 0 or call('HEXISTS', lim, queue) == 1)
    or metas and any(call('HMGET', meta, unpack(ids))) or progs and any(call('HMGET', prog, unpack(ids)))
    or waits and any(call('ZMSCORE', watch, unpack(ids))) or indexed and any(call('HMGET', idx, unpack(ids))) then
    return SLOW
  end
  seen[token], letters[#letters + 1] = true, string.rep('d', size)
  local plan = { key = key, all = all, token = token, queue = queue, ids = ids, said = ARGV[i + 5], keep = keep, size = size }
  plan.rest = call('LLEN', key) - size
  if keep > 0 then
    call('HLEN', fin)
    call('ZCARD', fls)
    plan.list = P .. 'fl:' .. queue .. ':succeeded:' .. text(keep)
    call('LLEN', plan.list)
    -- Those that go because they are too many may be in the index. No call has more than 1,000.
    if indexed and (call('HGET', n, queue .. '\0succeeded') or 0) + 1000 > MOST_KEPT then
      return SLOW
    end
    plan.results = ARGV[i + 4] == '1' and i + 5
  end
  plans[#plans + 1] = plan
  i = i + 6 + size * ARGV[i + 4]
end
