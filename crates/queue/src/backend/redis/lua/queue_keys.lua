-- Behind limits, for queues: what limits a queue.

local function whole(number)
  return number and number < ANY and text(math.floor(number + NEAR)) or ''
end

-- What a key holds: its name, permits in use and allowed, jobs that wait, what may be spent,
-- and when the next may start.
local function shown(key, inside, waiting)
  local permits, book = rule_of(key).concurrency, book_of(key, call('HGET', rate, key) or nil)
  local at = book and when(book, 1)
  return { key, inside, permits and text(permits) or '', waiting, book and whole(book.left) or '', whole(at) }
end

-- The limit that a queue names, then at most a hundred of its keys that hold work.
local function limits_of(queue, waiting)
  local all, name = {}, call('HGET', lim, queue)
  if name then
    local queues_of, inside = call('HGETALL', lim), 0
    for i = 1, #queues_of, 2 do
      if queues_of[i + 1] == name then
        inside = inside + (call('HGET', n, queues_of[i] .. '\0leased') or 0)
      end
    end
    all[1] = shown(name, inside, waiting)
  end
  local cursor, seen = '0', 0
  repeat
    local step = call('SSCAN', P .. 'k:' .. queue, cursor, 'COUNT', 100)
    cursor = step[1]
    for _, key in ipairs(step[2]) do
      seen = seen + 1
      if seen <= 100 then
        local line = P .. 'w:' .. queue .. ':' .. key
        all[#all + 1] = shown(key, #(call('HGET', inuse, key) or '') / 16, call('ZCARD', line))
      end
    end
  until cursor == '0' or seen >= 100
  return all
end

-- The next job of the first keys of a queue: id and header line of each.
local function heads_of(queue, row)
  for _, key in ipairs(call('LRANGE', P .. 'ring:' .. queue, 0, 9)) do
    local entry = call('ZRANGE', P .. 'w:' .. queue .. ':' .. key, 0, 0)[1]
    if entry then
      local id = string.sub(entry, 1, 16)
      row[#row + 1] = id
      row[#row + 1] = string.match(call('HGET', jobs, id) or '', '^[^\n]*')
    end
  end
end
