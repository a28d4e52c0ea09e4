-- Behind free, for purge: the governed lane of a queue.

-- Takes a key that holds no work out of wherever it waits.
local function retire(queue, key)
  call('SREM', P .. 'k:' .. queue, key)
  call('LREM', P .. 'ring:' .. queue, 1, key)
  call('ZREM', P .. 'cool:' .. queue, key)
  local others = string.gsub(' ' .. (call('HGET', full, key) or '') .. ' ', ' ' .. string.gsub(queue, '%W', '%%%0') .. ' ', ' ')
  others = string.match(others, '^%s*(.-)%s*$')
  if others == '' then
    call('HDEL', full, key)
  else
    call('HSET', full, key, others)
  end
end

-- Drops up to `most` waiting jobs, key by key: those at the front of the ring first, where
-- they are found at once.
local function purge_keys(queue, most, drop)
  local gone = 0
  while gone < most do
    local key = call('LINDEX', P .. 'ring:' .. queue, 0) or call('ZRANGE', P .. 'cool:' .. queue, 0, 0)[1]
      or call('SRANDMEMBER', P .. 'k:' .. queue)
    if not key then
      return
    end
    local line = P .. 'w:' .. queue .. ':' .. key
    local got = call('ZPOPMIN', line, math.min(most - gone, 500))
    for i = 1, #got, 2 do
      local id = string.sub(got[i], 1, 16)
      local rec = call('HGET', jobs, id)
      joined[queue] = (joined[queue] or 0) - 1
      gone = gone + 1
      if rec then
        drop(id, rec, memo(id))
      end
    end
    if call('EXISTS', line) == 0 then
      retire(queue, key)
    end
  end
end
