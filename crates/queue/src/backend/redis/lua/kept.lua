-- The finished jobs of a queue in a state, for its rules. Reads only.
-- ARGV: time, queue, state, skip, how many
-- Returns ok, then of each its list, its entry, when it ended, the bytes of its record, and
--   1 where somebody who waited for it may still ask.
local reply, skip, left = { 'ok' }, tonumber(ARGV[4]), tonumber(ARGV[5])
local prefix = P .. 'fl:' .. ARGV[2] .. ':' .. ARGV[3] .. ':'
for _, list in ipairs(call('ZRANGE', fls, 0, -1)) do
  local size = string.sub(list, 1, #prefix) == prefix and call('LLEN', list) or 0
  if left > 0 and size > skip then
    for _, entry in ipairs(call('LRANGE', list, skip, skip + left - 1)) do
      local id, at = string.sub(entry, 1, 16), #reply
      reply[at + 1], reply[at + 2], reply[at + 3] = list, entry, text(ended(entry))
      reply[at + 4] = call('HSTRLEN', fin, id) + call('HSTRLEN', jobs, id)
      reply[at + 5] = call('ZSCORE', watch, id) and 1 or 0
      left = left - 1
    end
    skip = 0
  else
    skip = skip - size
  end
end
return reply
