-- For control: out of where a job waits.

-- Takes a waiting job out of where it waits.
local function pull(id, state, m, h, queue, prio)
  local key = P .. 'q:' .. queue .. ':' .. prio
  local limit, cost = governed(m, h)
  if state == 'available' and limit then
    return unjoin(id, queue, limit, cost)
  elseif state == 'available' then
    local entry = id .. tail(m, h)
    call('HSET', ghost, entry, queue .. ':' .. prio)
    call('HINCRBY', gn, queue .. ':' .. prio, 1)
    m.g = nil
    return
  end
  count(queue, state, -1)
  if m.st == 'parked' then
    count(queue, 'parked', -1)
    call('HINCRBY', parked, tostring(h.n), -1)
    call('LREM', P .. 'pk:' .. tostring(h.n), 1, id)
  elseif m.st ~= 'flow' then
    call('ZREM', due, id)
  end
end
