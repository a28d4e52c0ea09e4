-- Behind free, for put: what follows from a change of a rule.

-- Gives a turn to keys that wait under a limit; the sweep finds those that are left.
local function look_again(address)
  local function meant(key)
    return key == address or string.sub(key, 1, #address + 1) == address .. '/'
  end
  for _, queue in ipairs(call('SMEMBERS', queues)) do
    local cooling = P .. 'cool:' .. queue
    for _, key in ipairs(call('ZRANGE', cooling, 0, 499)) do
      if meant(key) then
        call('ZADD', cooling, 'XX', now, key)
      end
    end
  end
  local waiting, keys = call('HSCAN', full, 0, 'COUNT', 500)[2], {}
  for i = 1, #waiting, 2 do
    if meant(waiting[i]) and waiting[i] ~= address and #keys < 1000 then
      keys[#keys + 1] = waiting[i]
    end
  end
  if string.find(address, '/', 1, true) and call('HEXISTS', full, address) == 1 then
    keys = { address }
  end
  if #keys > 0 then
    wake_full(keys)
  end
  redis.pcall('PUBLISH', P .. 'wake', address)
end

local function changed(kind, name, value)
  if kind == 'queue' then
    local good, rules = pcall(cjson.decode, value)
    local limit = good and type(rules) == 'table' and rules.limit
    if type(limit) == 'string' then
      call('HSET', lim, name, limit)
    else
      call('HDEL', lim, name)
    end
    redis.pcall('PUBLISH', P .. 'wake', name)
  elseif kind == 'limit' then
    call('HDEL', lim, '/')
    for _, address in ipairs(call('HKEYS', P .. 'set:limit')) do
      if string.find(address, '/', 1, true) then
        call('HSET', lim, '/', 1)
      end
    end
    look_again(name)
  end
end
