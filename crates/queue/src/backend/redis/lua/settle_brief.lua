-- The brief settle: as settle.lua, of successes that are the next of their batch, without a
-- memo, progress, waiter, tag, limit, flow, or a unique key that is held for a time.
-- ARGV: time, any, then s or u TOKEN KEEP N RESULTS IDS [result*N] as in settle.lua.
local jobs, lease, batch, n, fin, fls, meta, prog, watch, idx, full, lim, uniq, locks = unpack(KEYS)
local MOST_KEPT, REMEMBERED, micros = 10000, 15000, clock()
if not micros then
  return SLOW
end
local now = math.floor(micros / 1000)
call('ZREM', lease, '')
call('HLEN', n)
call('HLEN', jobs)
local more = call('EXISTS', meta, prog, watch, idx, full, lim) > 0
local metas, progs, waits = more and call('HLEN', meta) > 0, more and call('HLEN', prog) > 0, more and call('ZCARD', watch) > 0
local indexed, limited = more and call('HLEN', idx) > 0, more and call('EXISTS', full, lim) > 0
local plans, seen, letters, i = {}, {}, {}, 3

local function any(found)
  for k = 1, #found do
    if found[k] then return true end
  end
end

-- The unique keys that jobs give up; nothing where one needs a closer look.
local function keys_of(ids)
  local names, mine = {}, {}
  if call('ZCARD', locks) > 0 then
    return
  end
  for k, rec in ipairs(call('HMGET', jobs, unpack(ids))) do
    local stop = rec and string.byte(rec) == 42 and string.find(rec, '\n', 1, true)
    local good, h = pcall(cjson.decode, stop and string.sub(rec, 2, stop - 1) or '')
    if not good or type(h) ~= 'table' or type(h.n) ~= 'string' or type(h.u) ~= 'string' or h.f then
      return
    end
    names[k] = h.n .. '\0' .. h.u
  end
  for k, owner in ipairs(call('HMGET', uniq, unpack(names))) do
    if owner and string.sub(owner, 1, 16) == ids[k] then
      mine[#mine + 1] = names[k]
    end
  end
  return mine
end

while i <= #ARGV do
  local token, keep, size = ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local flag, queue = string.match(call('HGET', batch, token) or '', '^(%d)(%S+)')
  local key, all = P .. 'b:' .. token, P .. 'o:' .. token
  -- As in fence.lua: the ids are the batch's next ones. As arguments each would be made once more.
  local ids = call('LRANGE', key, 0, size)
  local rest = table.remove(ids, size + 1)
  call('STRLEN', all)
  if seen[token] or not queue or flag > '1' or not call('ZSCORE', lease, token) or table.concat(ids) ~= ARGV[i + 5]
    or limited and (call('HLEN', full) > 0 or call('HEXISTS', lim, queue) == 1)
    or metas and any(call('HMGET', meta, unpack(ids))) or progs and any(call('HMGET', prog, unpack(ids)))
    or waits and any(call('ZMSCORE', watch, unpack(ids))) or indexed and any(call('HMGET', idx, unpack(ids))) then
    return SLOW
  end
  seen[token], letters[#letters + 1] = true, string.rep('d', size)
  local plan = { key = key, all = all, token = token, queue = queue, ids = ids }
  plan.keys = ARGV[i] == 's' and {} or keys_of(ids)
  plan.said, plan.keep, plan.size, plan.rest = ARGV[i + 5], keep, size, rest
  if not plan.keys then
    return SLOW
  elseif keep > 0 then
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
