-- Behind seat, for lease: limits of whole queues.

-- How much of this the books of a queue allow.
local function affordable(want, budget)
  if not budget or want <= 0 then
    return want
  end
  local stop = when(budget, 1)
  soonest(stop)
  return stop and 0 or math.max(1, math.min(want, math.floor(budget.left + NEAR)))
end

-- What a queue may start under the limit that it names, and the books of that limit.
local function ceiling(queue, want)
  local name = watched and call('HGET', lim, queue)
  if not name then
    return want
  end
  local permits, book = rule_of(name).concurrency, book_of(name, call('HGET', rate, name))
  if permits then
    local limits, inside = call('HGETALL', lim), 0
    for i = 1, #limits, 2 do
      if limits[i + 1] == name then
        local field = limits[i] .. '\0leased'
        inside = inside + (call('HGET', n, field) or 0) + (tally[field] or 0)
      end
    end
    if want > permits - inside then
      want = math.max(0, permits - inside)
      stand_full(queue, { name })
    end
  end
  return affordable(want, book), book or nil
end
