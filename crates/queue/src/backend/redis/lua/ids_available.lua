-- Names available jobs, from the tail of each list: what comes and goes then shows a job twice
-- at worst, and passes none over. Reads only.
-- ARGV: time, queue or '', PRIO:FROM TAIL:QUEUE or '', how many
-- Returns ok, the place to go on behind ('' at the end), then id and place of each.
local names, want = ARGV[2] ~= '' and { ARGV[2] } or call('SMEMBERS', queues), tonumber(ARGV[4])
local prio0, tail0, queue0 = string.match(ARGV[3], '^(%d):(%d+):(.*)$')
local reply, looked, ghosts = { 'ok', '' }, 0, call('HLEN', ghost) > 0
if string.sub(ARGV[3], 1, 1) == 'k' then
  return ids_keys(reply, ARGV[2], ARGV[3], want)
end
table.sort(names)
for _, queue in ipairs(names) do
  local keys = {}
  for prio = 0, 9 do
    keys[prio + 1] = P .. 'q:' .. queue .. ':' .. prio
  end
  local begins = not queue0 or queue >= queue0
  for prio = 0, begins and call('EXISTS', unpack(keys)) > 0 and 9 or -1 do
    local here = queue == queue0 and prio == tonumber(prio0)
    local skip = here and tonumber(tail0) or 0
    if queue == queue0 and prio < tonumber(prio0) then
      skip = nil
    end
    local entries = skip and call('LRANGE', keys[prio + 1], -skip - want + looked, -skip - 1) or {}
    for i = #entries, 1, -1 do
      looked, skip = looked + 1, skip + 1
      reply[2] = prio .. ':' .. skip .. ':' .. queue
      if not ghosts or call('HEXISTS', ghost, entries[i]) == 0 then
        reply[#reply + 1], reply[#reply + 2] = string.sub(entries[i], 1, 16), reply[2]
      end
    end
    if looked >= want then
      return reply
    end
  end
end
return ids_keys(reply, ARGV[2], 'k:0:0', want - looked)
