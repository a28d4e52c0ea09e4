-- In front of ids_available: what waits in governed lanes. Keys are met in no order, the jobs of
-- each from its tail. A place is k, a queue, the cursor of its keys, and a place behind that.
local function ids_keys(reply, wanted, at, want)
  local queue0, cursor, skip = string.match(at, '^k([^:]*):(%d+):(%d+)$')
  local names, looked = wanted ~= '' and { wanted } or call('HKEYS', gov), 0
  skip = tonumber(skip)
  table.sort(names)
  for _, queue in ipairs(names) do
    if queue ~= queue0 then
      cursor, skip = '0', 0
    end
    local begins = queue >= queue0
    while begins do
      local step, past = call('SSCAN', P .. 'k:' .. queue, cursor, 'COUNT', 50), 0
      for _, key in ipairs(step[2]) do
        local line = P .. 'w:' .. queue .. ':' .. key
        local length = call('ZCARD', line)
        local from = math.max(0, skip - past)
        if from < length then
          for i, entry in ipairs(call('ZREVRANGE', line, from, from + want - looked - 1)) do
            local place = 'k' .. queue .. ':' .. cursor .. ':' .. text(past + from + i)
            reply[#reply + 1], reply[#reply + 2] = string.sub(entry, 1, 16), place
            reply[2], looked = place, looked + 1
          end
        end
        if looked >= want then
          return reply
        end
        past = past + length
      end
      cursor, skip, begins = step[1], 0, step[1] ~= '0'
    end
  end
  reply[2] = ''
  return reply
end
