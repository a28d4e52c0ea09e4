-- Behind heal, for reap: keys that wait although they need not.

-- A key that waits for a permit which is free takes turns.
local function heal_full()
  local all = slice('full', full)
  for i = 1, #all, 2 do
    local key = all[i]
    if not string.find(key, '/', 1, true) then
      free_queue_of(key)
    elseif #(call('HGET', inuse, key) or '') / 16 < (rule_of(key).concurrency or ANY) then
      wake_full({ key })
    end
  end
end

-- What has been spent long ago is forgotten.
local function heal_rates()
  local all = slice('rate', rate)
  for i = 1, #all, 2 do
    local book = book_of(all[i], all[i + 1])
    if not book or not closed(book) then
      call('HDEL', rate, all[i])
    end
  end
end

-- A key that holds work is in the ring, cools, or waits for a permit; one that cools until
-- too late (its rule has changed) has its turn.
local function heal_queue(queue)
  local cooling = P .. 'cool:' .. queue
  local name = 'k:' .. queue
  local step = call('SSCAN', P .. name, call('HGET', mended, name) or 0, 'COUNT', 50)
  call('HSET', mended, name, step[1])
  local short = call('LLEN', P .. 'ring:' .. queue) <= 1000
  for _, key in ipairs(step[2]) do
    local until_ms = call('ZSCORE', cooling, key)
    local waits = ' ' .. (call('HGET', full, key) or '') .. ' '
    if until_ms then
      local book = book_of(key, call('HGET', rate, key) or nil)
      if tonumber(until_ms) > now and not (book and when(book, 1)) then
        call('ZADD', cooling, 'XX', now, key)
      end
    elseif short and not string.find(waits, ' ' .. queue .. ' ', 1, true)
      and not call('LPOS', P .. 'ring:' .. queue, key) then
      ring(queue, { key })
    end
  end
end

local function heal()
  if call('EXISTS', gov, inuse, permit, full, rate) == 0 then
    return
  end
  heal_held()
  heal_leases()
  heal_full()
  heal_rates()
  for _, queue in ipairs(call('HKEYS', gov)) do
    heal_queue(queue)
  end
end
