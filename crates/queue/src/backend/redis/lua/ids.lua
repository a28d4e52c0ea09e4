-- Names jobs in a state, for a page of a list. Reads only.
-- ARGV: time, state, queue or '', skip, how many
-- Returns ok, then ids: available from the tails, leased and final ones newest first,
--   scheduled and retryable soonest first, blocked in no order.
local state, wanted, skip, most = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local reply, upto = { 'ok' }, skip + most

-- The last `upto` of these lists, each from its tail, then the page of them.
local function tails(keys, order)
  local all = {}
  for _, key in ipairs(keys) do
    local entries = call('LRANGE', key, -upto, -1)
    for i = #entries, 1, -1 do
      all[#all + 1] = entries[i]
    end
  end
  if order then
    table.sort(all, function(a, b) return tonumber(string.sub(a, 17)) > tonumber(string.sub(b, 17)) end)
  end
  return all
end

local all = {}
if state == 'available' then
  local keys = {}
  for _, queue in ipairs(wanted ~= '' and { wanted } or call('SMEMBERS', queues)) do
    for prio = 0, 9 do
      keys[#keys + 1] = P .. 'q:' .. queue .. ':' .. prio
    end
  end
  for _, entry in ipairs(tails(keys)) do
    if call('HEXISTS', ghost, entry) == 0 then
      all[#all + 1] = entry
    end
  end
elseif state == 'leased' then
  for _, token in ipairs(call('ZREVRANGE', lease, 0, -1)) do
    local queue = string.match(call('HGET', batch, token) or '', '^%d(%S+)')
    if wanted == '' or queue == wanted then
      for _, id in ipairs(call('LRANGE', P .. 'b:' .. token, 0, -1)) do
        all[#all + 1] = id
      end
    end
  end
elseif state == 'scheduled' or state == 'retryable' then
  all = call('ZRANGE', due, skip, upto - 1)
  skip = 0
elseif state == 'blocked' then
  local cursor = '0'
  repeat
    local step = call('HSCAN', meta, cursor, 'COUNT', 500)
    cursor = step[1]
    for i = 1, #step[2], 2 do
      local st = memo(step[2][i]).st
      if st == 'serial' or st == 'parked' or st == 'flow' then
        all[#all + 1] = step[2][i]
      end
    end
  until cursor == '0' or #all >= upto
else
  local keys = {}
  for _, list in ipairs(call('ZRANGE', fls, 0, -1)) do
    local queue, what = string.match(string.sub(list, #P + 1), '^fl:([^:]+):(%a+):')
    if what == state and (wanted == '' or queue == wanted) then
      keys[#keys + 1] = list
    end
  end
  all = tails(keys, true)
end
for i = skip + 1, math.min(#all, skip + most) do
  reply[#reply + 1] = string.sub(all[i], 1, 16)
end
return reply
