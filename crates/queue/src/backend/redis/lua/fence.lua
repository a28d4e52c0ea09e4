-- Behind the outcomes, for settle: who still holds what.

-- Queues of batches, and which of them are of a governed lane.
local homes, keyed, limited = {}, {}, false

-- The queue of a live batch, or false.
local function home(token)
  if homes[token] == nil then
    local record = call('HGET', batch, token)
    homes[token] = record and call('ZSCORE', lease, token) and string.match(record, '^%d(%S+)') or false
    keyed[token] = homes[token] and string.byte(record) > 49 -- 2 or 3
  end
  return homes[token]
end

-- A settle of what is not in the batch: the very one that took it out, or a stale one.
local function gone(token, id, outcome)
  local all, from = call('GET', P .. 'o:' .. token) or '', 1
  repeat
    local found = string.find(all, id, from, true)
    from = (found or 0) + 1
  until not found or found % 16 == 1
  local how = call('HGET', P .. 'x:' .. token, id) or from > 1 and 'succeeded'
  return how == outcome and 'd' or 's'
end

-- Takes ids out of a batch; true for all of them, where they are its next ones in their order,
-- else those that were in it, by id.
local function out(token, ids)
  local key, was = P .. 'b:' .. token, {}
  if table.concat(call('LRANGE', key, 0, #ids - 1)) == table.concat(ids) then
    call('LTRIM', key, #ids, -1)
    return true
  elseif #ids <= 32 then
    for _, id in ipairs(ids) do
      was[id] = call('LREM', key, 1, id) == 1 or was[id]
    end
    return was
  end
  local members, asked, rest = call('LRANGE', key, 0, -1), {}, {}
  for _, id in ipairs(ids) do
    asked[id] = true
  end
  for _, id in ipairs(members) do
    if asked[id] then
      was[id] = true
    else
      rest[#rest + 1] = id
    end
  end
  call('UNLINK', key)
  if #rest > 0 then
    call('RPUSH', key, unpack(rest))
  end
  return was
end
