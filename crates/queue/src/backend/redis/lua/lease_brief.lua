-- The brief lease: as lease.lua, of queues without limits, entries of 16 bytes and no ghosts.
-- ARGV: time, worker, ttl, 0, how many in all, then QUEUE MAX pairs. Returns as lease.lua.
local jobs, lease, batch, last, n, ghost, gn, paused, gov, lim, mended = unpack(KEYS)
local FEW, micros = 16, clock()
if not micros then
  return SLOW
end
local now = math.floor(micros / 1000)
call('ZREM', lease, '')
call('HLEN', jobs)
call('HLEN', batch)
call('HLEN', n)
local top, room = tonumber(call('GET', last) or 0), tonumber(ARGV[5])
local ruled, haunted, plans = call('EXISTS', gov, lim, paused) > 0, call('HLEN', ghost) > 0, {}
for i = 6, #ARGV, 2 do
  local queue, most = ARGV[i], math.min(tonumber(ARGV[i + 1]), room)
  if ruled and call('HEXISTS', gov, queue) + call('HEXISTS', lim, queue) + call('HEXISTS', paused, queue) > 0
    or plans[queue] then
    return SLOW
  end
  local names, plan = {}, { queue = queue, lists = {}, ids = {} }
  for prio = 0, 9 do
    names[prio + 1] = P .. 'q:' .. queue .. ':' .. prio
  end
  local filled = most > 0 and call('EXISTS', unpack(names)) or 0
  -- Most jobs have the middle priority.
  local only = filled == 1 and call('EXISTS', names[6]) == 1 and 5
  for prio = only or 0, filled > 0 and only or filled > 0 and 9 or -1 do
    local entries = #plan.ids < most and call('LRANGE', names[prio + 1], 0, most - #plan.ids - 1) or {}
    if #entries > 0 then
      if #table.concat(entries) ~= 16 * #entries
        or haunted and tonumber(call('HGET', gn, queue .. ':' .. prio) or 0) > 0 then
        return SLOW
      end
      plan.lists[#plan.lists + 1] = { names[prio + 1], #entries }
      if #plan.ids == 0 then
        plan.ids = entries
      else
        for _, id in ipairs(entries) do
          plan.ids[#plan.ids + 1] = id
        end
      end
    end
  end
  if #plan.ids > 0 then
    room = room - #plan.ids
    plan.recs = #plan.ids <= FEW and call('HMGET', jobs, unpack(plan.ids)) or {}
    for k = 1, #plan.ids <= FEW and #plan.ids or 0 do
      if not plan.recs[k] then
        return SLOW
      end
    end
    plans[#plans + 1] = plan
  end
  plans[queue] = true
end
local out, longest = {}, tonumber(call('HGET', mended, 'ttl') or 0)
for i, plan in ipairs(plans) do
  top = math.max(top + 1, micros)
  local token, all = text(top), table.concat(plan.ids)
  for _, list in ipairs(plan.lists) do
    call('LTRIM', list[1], list[2], -1)
  end
  call('RPUSH', P .. 'b:' .. token, unpack(plan.ids))
  call('SET', P .. 'o:' .. token, all)
  call('ZADD', lease, now + ARGV[3], token)
  call('HSET', batch, token, (#plan.ids == 1 and '1' or '0') .. plan.queue .. ' ' .. ARGV[2])
  call('HINCRBY', n, plan.queue .. '\0leased', #plan.ids)
  out[i] = { token, plan.queue, all, plan.recs, {} }
end
if #out > 0 then
  call('SET', last, text(top))
  if tonumber(ARGV[3]) > longest then
    call('HSET', mended, 'ttl', ARGV[3])
  end
end
return { 'ok', now, now + ARGV[3], '', out }
