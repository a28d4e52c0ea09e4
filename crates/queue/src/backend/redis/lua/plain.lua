-- Behind take, for lease: the plain lane.

-- What a queue holds in its lists: priority and length of each that is not empty.
local function lists_of(queue)
  local names, lists = {}, {}
  for prio = 0, 9 do
    names[prio + 1] = P .. 'q:' .. queue .. ':' .. prio
  end
  local filled, prio = call('EXISTS', unpack(names)), 0
  while filled > 0 do
    -- Most jobs have the middle priority: when it alone holds any, one look is enough.
    local at = (filled == 1 and prio == 0 and call('EXISTS', names[6]) == 1) and 5 or prio
    local length = call('LLEN', names[at + 1])
    if length > 0 then
      lists[#lists + 1] = { at, length }
      filled = filled - 1
    end
    prio = prio + 1
  end
  return lists
end

-- Leases up to `want` jobs of these lists; how many.
local function plain(queue, lists, want, budget)
  local left, shared, refused = want, { ids = {}, recs = {}, notes = {} }, {}
  for _, list in ipairs(lists) do
    local prio, length = unpack(list)
    local name = queue .. ':' .. prio
    local haunted = ghosts and tonumber(call('HGET', gn, name) or 0) > 0
    while length > 0 and left - #shared.ids > 0 do
      local entries = call('LPOP', P .. 'q:' .. name, math.min(left - #shared.ids, 1000)) or {}
      length = #entries > 0 and length - #entries or 0
      if #entries > 0 then
        left = left - take(queue, prio, entries, shared, refused, haunted)
      end
      if length == 0 and call('EXISTS', P .. 'q:' .. name) == 0 then
        call('HDEL', gn, name .. '+')
      end
    end
  end
  if #shared.ids > 0 then
    open(queue, #shared.ids == 1, shared.ids, shared.recs, shared.notes)
  end
  local got = want - left + #shared.ids
  if budget and got > 0 then
    spend(budget, got)
  end
  return got
end
