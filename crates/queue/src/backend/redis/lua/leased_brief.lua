-- Behind lease_brief: all has been looked at, and this changes it.
local out, longest = {}, tonumber(call('HGET', mended, 'ttl') or 0)

-- What has been emptied holds no long entry any more.
local function cut(list, size, name)
  call('LTRIM', list, size, -1)
  if call('EXISTS', list) == 0 then
    call('HDEL', gn, name .. '+')
  end
end

for i, plan in ipairs(plans) do
  top = math.max(top + 1, micros)
  local token = text(top)
  local key = P .. 'b:' .. token
  if plan.native then
    call('SORT', plan.native, 'BY', 'nosort', 'LIMIT', 0, plan.size, 'STORE', key)
    call('LTRIM', plan.native, plan.size, -1)
    -- Whoever asked reads it behind this script, and sees by the token whether it is its own.
    call('COPY', key, took)
    call('LPUSH', took, token)
  else
    for _, list in ipairs(plan.lists) do
      cut(unpack(list))
    end
    call('RPUSH', key, unpack(plan.ids))
  end
  call('ZADD', lease, now + ARGV[3], token)
  call('HSET', batch, token, (plan.size == 1 and '1' or '0') .. plan.queue .. ' ' .. ARGV[2])
  call('HINCRBY', n, plan.queue .. '\0leased', plan.size)
  out[i] = { token, plan.queue, table.concat(plan.ids), plan.recs, {} }
end
if #out > 0 then
  call('SET', last, text(top))
  if tonumber(ARGV[3]) > longest then
    call('HSET', mended, 'ttl', ARGV[3])
  end
end
return { 'ok', now, now + ARGV[3], '', out }
