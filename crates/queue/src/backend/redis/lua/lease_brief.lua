-- The brief lease: as lease.lua, of queues without limits, entries of 16 bytes and no ghosts.
-- ARGV: time, worker, ttl, 0, how many in all, then QUEUE MAX pairs. Returns as lease.lua; the
-- ids of a large batch are not in the answer but in `took`, behind its token.
-- The ids of a large batch that one list fills never become strings of Lua, which is half of
-- what a lease costs: they are moved natively. Whoever pushes a longer entry says so in `gn`
-- (see push.lua), and then they are looked at here.
local jobs, lease, batch, last, n, ghost, gn, paused, gov, lim, mended = unpack(KEYS)
local FEW, micros, took = 16, clock(), P .. 'took'
if not micros then
  return SLOW
end
local now = math.floor(micros / 1000)
call('ZREM', lease, '')
call('UNLINK', took)
call('HLEN', jobs)
call('HLEN', batch)
call('HLEN', n)
call('HLEN', gn)
local top, room = tonumber(call('GET', last) or 0), tonumber(ARGV[5])
local ruled, haunted, plans, native = call('EXISTS', gov, lim, paused) > 0, call('HLEN', ghost) > 0, {}, false

-- What a list gives to a plan that wants so many more; nothing where a closer look is needed.
local function look(plan, list, name, want, whole)
  if haunted and tonumber(call('HGET', gn, name) or 0) > 0 then
    return
  end
  local size = not native and #plan.ids == 0 and math.min(call('LLEN', list), want) or 0
  if size > FEW and (whole or size == want) and call('HEXISTS', gn, name .. '+') == 0 then
    native, plan.native, plan.size = true, list, size
    return size
  end
  local entries = call('LRANGE', list, 0, want - 1)
  if #table.concat(entries) ~= 16 * #entries then
    return
  elseif #entries > 0 then
    plan.lists[#plan.lists + 1] = { list, #entries, name }
  end
  for _, id in ipairs(entries) do
    plan.ids[#plan.ids + 1] = id
  end
  plan.size = #plan.ids
  return #entries
end

for i = 6, #ARGV, 2 do
  local queue, most = ARGV[i], math.min(tonumber(ARGV[i + 1]), room)
  if ruled and call('HEXISTS', gov, queue) + call('HEXISTS', lim, queue) + call('HEXISTS', paused, queue) > 0
    or plans[queue] then
    return SLOW
  end
  local names, plan = {}, { queue = queue, lists = {}, ids = {}, size = 0 }
  for prio = 0, 9 do
    names[prio + 1] = P .. 'q:' .. queue .. ':' .. prio
  end
  local filled = most > 0 and call('EXISTS', unpack(names)) or 0
  -- Most jobs have the middle priority.
  local only = filled == 1 and call('EXISTS', names[6]) == 1 and 5
  for prio = only or 0, filled > 0 and (only or 9) or -1 do
    if plan.size < most and not look(plan, names[prio + 1], queue .. ':' .. prio, most - plan.size, filled == 1) then
      return SLOW
    end
  end
  if plan.size > 0 then
    room = room - plan.size
    plan.recs = plan.size <= FEW and call('HMGET', jobs, unpack(plan.ids)) or {}
    for k = 1, plan.size <= FEW and plan.size or 0 do
      if not plan.recs[k] then
        return SLOW
      end
    end
    plans[#plans + 1] = plan
  end
  plans[queue] = true
end
