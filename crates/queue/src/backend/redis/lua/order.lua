-- Behind job, for pages that go on behind a job, also when that job has gone.

local byte = string.byte

-- Whether an id comes before another one, by its bytes: Lua's own order depends on a locale.
local function before(a, b)
  for i = 1, 16 do
    local x, y = byte(a, i) or 0, byte(b, i) or 0
    if x ~= y then
      return x < y
    end
  end
  return false
end

-- How many members of a sorted set come before a score and id.
local function place_of(key, score, id)
  local rank = call('ZRANK', key, id)
  if rank and tonumber(call('ZSCORE', key, id)) == tonumber(score) then
    return rank
  end
  local low, high = call('ZCOUNT', key, '-inf', '(' .. score), call('ZCOUNT', key, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if before(call('ZRANGE', key, middle, middle)[1], id) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end
