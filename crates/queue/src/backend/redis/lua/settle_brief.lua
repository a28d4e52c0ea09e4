-- The brief settle: as settle.lua, of successes that are all of their batch, without a memo,
-- progress, waiter, tag, limit, flow, or a unique key that is held for a time.
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

-- These of a batch, and the others where there are any; nothing where one is not in it.
local function among(all, said, size)
  local ids, asked, rest = {}, {}, {}
  for k = 1, size do
    ids[k] = string.sub(said, 16 * k - 15, 16 * k)
    asked[ids[k]] = true
  end
  for _, id in ipairs(all) do
    if not asked[id] then
      rest[#rest + 1] = id
    end
  end
  return #all - #rest == size and ids, rest[1] and rest
end
