-- Reads every queue. ARGV: time.
-- Returns ok, the counters as field and value, then a table a queue: name, available,
--   paused ('' or until, 0 for good), limits (see queue_keys.lua), then id and header line of
--   the head of each list.
local names, reply = call('SMEMBERS', queues), { 'ok', call('HGETALL', n) }
local known = {}
for _, queue in ipairs(names) do
  known[queue] = true
end
for _, queue in ipairs(call('HKEYS', paused)) do
  if not known[queue] then
    names[#names + 1] = queue
  end
end
for _, queue in ipairs(names) do
  local stop = call('HGET', paused, queue) or ''
  if stop ~= '' and stop ~= '0' and tonumber(stop) <= now then
    stop = ''
  end
  local row = { queue, tonumber(call('HGET', gov, queue) or 0), stop, {} }
  for prio = 0, 9 do
    local key = P .. 'q:' .. queue .. ':' .. prio
    local length = call('LLEN', key)
    if length > 0 then
      row[2] = row[2] + length - (call('HGET', gn, queue .. ':' .. prio) or 0)
      for at = 0, math.min(length, 100) - 1 do
        local entry = call('LINDEX', key, at)
        if call('HEXISTS', ghost, entry) == 0 then
          local id = string.sub(entry, 1, 16)
          row[#row + 1] = id
          row[#row + 1] = string.match(call('HGET', jobs, id) or '', '^[^\n]*')
          break
        end
      end
    end
  end
  if row[2] > 0 or call('HEXISTS', lim, queue) == 1 then
    row[4] = limits_of(queue, row[2])
    heads_of(queue, row)
  end
  reply[#reply + 1] = row
end
return reply
