-- Behind draw, for lease: where keys go after their turn.

-- Notes that a queue waits for a permit of these keys.
local function stand_full(queue, keys)
  local stand, set = call('HMGET', full, unpack(keys)), {}
  for i, key in ipairs(keys) do
    local queues_of = stand[i] or ''
    if not string.find(' ' .. queues_of .. ' ', ' ' .. queue .. ' ', 1, true) then
      set[#set + 1], set[#set + 2] = key, queues_of == '' and queue or queues_of .. ' ' .. queue
    end
  end
  if #set > 0 then
    set_many(full, set)
  end
end

-- Puts each key where it goes next.
local function seat(queue, next_of)
  local at = { ring = {}, head = {}, full = {}, gone = {}, cool = {} }
  for _, turn in ipairs(next_of) do
    local key, where = turn.key, turn.where or 'gone'
    local list = at[where] or at.cool
    if list == at.cool then
      list[#list + 1] = where
    end
    list[#list + 1] = key
  end
  if #at.ring > 0 then
    call('RPUSH', P .. 'ring:' .. queue, unpack(at.ring))
  end
  for i = #at.head, 1, -1 do
    call('LPUSH', P .. 'ring:' .. queue, at.head[i])
  end
  if #at.cool > 0 then
    call('ZADD', P .. 'cool:' .. queue, unpack(at.cool))
  end
  if #at.gone > 0 then
    call('SREM', P .. 'k:' .. queue, unpack(at.gone))
  end
  if #at.full > 0 then
    stand_full(queue, at.full)
  end
end
