-- Behind take, for lease: what a key whose turn it is may start.

-- Picks up to `most` jobs of a key that may start now. Says where the key goes next: ring,
-- full, head (the queue may not spend more), an instant until which it cools, or nil where
-- it holds no work; and the instant until which the queue waits.
local function draw(queue, key, most, inside, book, budget, picked)
  local permits = rule_of(key).concurrency
  local room = permits and permits - inside or most
  if room <= 0 then
    return 'full'
  end
  local asked = math.min(most, room)
  if book then
    local cools = when(book, 1)
    if cools then
      return cools
    end
    asked = math.max(1, math.min(asked, math.floor(book.left + NEAR)))
  end
  local line = P .. 'w:' .. queue .. ':' .. key
  local got = call('ZPOPMIN', line, asked)
  for i = 1, #got, 2 do
    local cost = #got[i] > 16 and tonumber(string.sub(got[i], 17)) or 1
    local cools, stop = book and when(book, cost), budget and when(budget, cost)
    if cools or stop then
      for k = i, #got, 2 do
        call('ZADD', line, got[k + 1], got[k])
      end
      return cools or 'head', stop
    end
    local id = #got[i] > 16 and string.sub(got[i], 1, 16) or got[i]
    if book then
      spend(book, cost)
    end
    if budget then
      spend(budget, cost)
    end
    picked[#picked + 1], key_of[id], cost_of[id] = id, key, cost
  end
  if #got < 2 * asked then
    return nil
  end
  return room == #got / 2 and permits and 'full' or 'ring'
end
