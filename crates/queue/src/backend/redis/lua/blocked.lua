-- Reads the balances that hold what a server has told, or a block, a step of them. Reads only.
-- ARGV: time, cursor. Returns ok, now, the next cursor, then of each its key and its JSON.
local step = call('HSCAN', rate, ARGV[2], 'COUNT', 500)
local reply, all = { 'ok', text(now), step[1] }, step[2]
for i = 1, #all, 2 do
  if string.find(all[i + 1], '"t":', 1, true) then
    reply[#reply + 1] = all[i]
    reply[#reply + 1] = all[i + 1]
  end
end
return reply
