-- Behind settling_brief: all has been looked at, and this changes it.

-- Keeps finished jobs, their records where they are (see job.lua), and drops the oldest of too
-- many.
local function keep_all(plan)
  local heads = {}
  local head, results = '+' .. text(now) .. ' ' .. text(plan.keep) .. ' ' .. plan.queue .. '\n', plan.results
  for k, id in ipairs(plan.ids) do
    heads[2 * k - 1], heads[2 * k] = id, results and head .. ARGV[results + k] or head
  end
  call('HSET', fin, unpack(heads))
  if call('RPUSH', plan.list, unpack(plan.ids)) == plan.size then
    call('ZADD', fls, now + plan.keep, plan.list)
  end
  local over = (call('HGET', n, plan.queue .. '\0succeeded') or 0) + plan.size - MOST_KEPT
  local old = over > 0 and call('LPOP', plan.list, math.min(over, 1000)) or {}
  for k = 1, #old do
    old[k] = #old[k] > 16 and string.sub(old[k], 1, 16) or old[k]
  end
  if #old > 0 then
    call('HDEL', fin, unpack(old))
    call('HDEL', jobs, unpack(old))
  end
  call('HINCRBY', n, plan.queue .. '\0succeeded', plan.size - #old)
end

for _, plan in ipairs(plans) do
  call('APPEND', plan.all, plan.said)
  if plan.rest then
    call('UNLINK', plan.key)
    call('RPUSH', plan.key, unpack(plan.rest))
  elseif plan.more then
    call('LTRIM', plan.key, plan.size, -1)
  else
    call('UNLINK', plan.key)
    call('ZREM', lease, plan.token)
    call('HDEL', batch, plan.token)
    call('PEXPIRE', plan.all, REMEMBERED)
    call('PEXPIRE', P .. 'x:' .. plan.token, REMEMBERED)
  end
  call('HINCRBY', n, plan.queue .. '\0leased', -plan.size)
  call('HINCRBY', n, plan.queue .. '\0processed', plan.size)
  if plan.keys[1] then
    call('HDEL', uniq, unpack(plan.keys))
  end
  if plan.keep > 0 then
    keep_all(plan)
  else
    call('HDEL', jobs, unpack(plan.ids))
  end
end
return { 'ok', table.concat(letters) }
