-- Behind ring, for verbs that end leases: what permits become free, and who gets a turn.

-- What is left of a string of ids without some of them.
local function without(all, gone)
  local rest = {}
  for at = 1, #all, 16 do
    local id = string.sub(all, at, at + 15)
    if not gone[id] then
      rest[#rest + 1] = id
    end
  end
  return table.concat(rest)
end

-- Lets keys that wait for a permit take turns again.
local function wake_full(keys)
  local waiting, back, over = call('HMGET', full, unpack(keys)), {}, {}
  for i, key in ipairs(keys) do
    for queue in string.gmatch(waiting[i] or '', '%S+') do
      back[queue] = back[queue] or {}
      table.insert(back[queue], key)
    end
    over[#over + 1] = waiting[i] and key or nil
  end
  if #over > 0 then
    call('HDEL', full, unpack(over))
  end
  for queue, all in pairs(back) do
    ring(queue, all)
  end
end

-- Frees the permits of these jobs, which are no longer leased.
local function free_permits(ids)
  local of, keys, gone = call('HMGET', permit, unpack(ids)), {}, {}
  for i, id in ipairs(ids) do
    local key = of[i] and string.sub(of[i], 17)
    if key and not gone[key] then
      keys[#keys + 1], gone[key] = key, {}
    end
    if key then
      gone[key][id] = true
    end
  end
  if #keys == 0 then
    return
  end
  call('HDEL', permit, unpack(ids))
  local stand, set, over = call('HMGET', inuse, unpack(keys)), {}, {}
  for i, key in ipairs(keys) do
    local rest = without(stand[i] or '', gone[key])
    if rest == '' then
      over[#over + 1] = key
    else
      set[#set + 1], set[#set + 2] = key, rest
    end
  end
  if #set > 0 then
    call('HSET', inuse, unpack(set))
  end
  if #over > 0 then
    call('HDEL', inuse, unpack(over))
  end
  wake_full(keys)
end

-- Wakes the queues that wait for a permit of a limit that they name.
local function free_queue_of(name)
  if call('HDEL', full, name) == 1 then
    redis.pcall('PUBLISH', P .. 'wake', name)
  end
end

local function free_queue(queue)
  local name = call('HGET', lim, queue)
  if name then
    free_queue_of(name)
  end
end
