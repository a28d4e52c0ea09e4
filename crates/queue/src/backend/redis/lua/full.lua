-- For enqueue: whether the queues have room. Reads only.

local function waiting(queue)
  local size = call('HGET', gov, queue) or 0
  for prio = 0, 9 do
    local name = queue .. ':' .. prio
    size = size + call('LLEN', P .. 'q:' .. name) - (call('HGET', gn, name) or 0)
  end
  for _, state in ipairs({ 'scheduled', 'retryable', 'blocked' }) do
    size = size + (call('HGET', n, queue .. '\0' .. state) or 0)
  end
  return size
end

-- How many jobs an operation adds; `seen` has the keys of those before it.
local function added(plain, at, seen)
  if plain then
    return tonumber(ARGV[at + 3])
  end
  local id, unique, chosen = ARGV[at + 1], ARGV[at + 5], ARGV[at + 6] == '1'
  if chosen and (call('HEXISTS', jobs, id) == 1 or call('HEXISTS', fin, id) == 1) then
    return 0
  elseif unique ~= '' and (seen[unique] or held(unique)) then
    return 0
  end
  seen[unique] = unique ~= '' or nil
  return 1
end

-- The first queue that has no room for what these operations add, as the reply; or nil.
local function full(ops)
  local limits, adds, seen = {}, {}, {}
  for _, op in ipairs(ops) do
    local plain, at, queue = op[1], op[2], op[3]
    if limits[queue] == nil then
      local rules = call('HGET', P .. 'set:queue', queue) or ''
      limits[queue] = tonumber(string.match(rules, '"max_waiting":(%d+)')) or false
    end
    if limits[queue] then
      adds[queue] = (adds[queue] or 0) + added(plain, at, seen)
    end
  end
  for queue, more in pairs(adds) do
    local length = waiting(queue)
    if more > 0 and length + more > limits[queue] then
      return { 'full', queue, text(length), text(limits[queue]) }
    end
  end
end
