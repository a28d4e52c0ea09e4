-- Behind seat, for lease: the keys of a queue take turns.

-- Counts the permits of what was picked, but for jobs that were turned away: these give back
-- what they spent, and their keys have another turn, for nobody else will free a permit.
local function hold_permits(next_of, picked, refused, budget)
  local set = {}
  for _, turn in ipairs(next_of) do
    local key, ids = turn.key, { turn.was }
    for i = turn.from + 1, turn.to do
      if refused[picked[i]] then
        turn.where = turn.where == 'full' and 'ring' or turn.where
        for _, book in ipairs({ budget or books[key] or nil, budget and books[key] or nil }) do
          spend(book, -cost_of[picked[i]])
        end
      else
        ids[#ids + 1] = picked[i]
      end
    end
    if #ids > 1 then
      set[#set + 1], set[#set + 2] = key, table.concat(ids)
    end
  end
  if #set > 0 then
    set_many(inuse, set)
  end
end

-- One turn of keys at the front of the ring, for up to `most` jobs: how many came, and until
-- when the queue may start no more.
local function round(queue, keys, most, budget, shared)
  local inside, stored = call('HMGET', inuse, unpack(keys)), call('HMGET', rate, unpack(keys))
  local each, picked, next_of, stop = math.max(1, math.floor(most / #keys)), {}, {}, nil
  for i, key in ipairs(keys) do
    local turn = { key = key, was = inside[i] or '', from = #picked, where = 'head' }
    if not stop and #picked < most then
      local book = book_of(key, stored[i] or nil)
      turn.where, stop = draw(queue, key, math.min(each, most - #picked), #turn.was / 16, book, budget, picked)
    end
    turn.to = #picked
    next_of[i] = turn
  end
  local before, single, refused = #shared.ids, 0, {}
  if #picked > 0 then
    joined[queue] = (joined[queue] or 0) - #picked
    single = take(queue, 0, picked, shared, refused)
    hold_permits(next_of, picked, refused, budget)
  end
  seat(queue, next_of)
  return #shared.ids - before + single, stop
end

-- Leases up to `want` jobs of the governed lane of a queue; how many, and until when the queue
-- may start no more.
local function turns(queue, want, budget)
  local turning, cooling = P .. 'ring:' .. queue, P .. 'cool:' .. queue
  local shared, got, stop = { ids = {}, recs = {}, notes = {}, keyed = true }, 0, nil
  local warm = call('ZRANGEBYSCORE', cooling, '-inf', now, 'LIMIT', 0, 500)
  if #warm > 0 then
    call('ZREM', cooling, unpack(warm))
    call('RPUSH', turning, unpack(warm))
  end
  for _ = 1, 8 do
    local keys = got < want and not stop and call('LPOP', turning, math.min(want - got, 200)) or {}
    if #keys > 0 then
      local more
      more, stop = round(queue, keys, want - got, budget, shared)
      got = got + more
    end
  end
  if #shared.ids > 0 then
    open(queue, #shared.ids == 1, shared.ids, shared.recs, shared.notes, true)
  end
  soonest(stop)
  soonest(tonumber(call('ZRANGE', cooling, 0, 0, 'WITHSCORES')[2]))
  return got, stop
end
