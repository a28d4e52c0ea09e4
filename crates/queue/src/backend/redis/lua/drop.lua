-- Forgets finished jobs of a queue in a state: those that are still in their lists.
-- ARGV: time, queue, state, then LIST ENTRY pairs. Returns ok, how many went.
call('ZREM', lease, '')
touch('HLEN', jobs, fin, n)
local ids = {}
for i = 4, #ARGV, 2 do
  if call('LREM', ARGV[i], 1, ARGV[i + 1]) == 1 then
    ids[#ids + 1] = string.sub(ARGV[i + 1], 1, 16)
  end
end
local gone = #ids > 0 and erase(ids) or 0
unindex(ids)
count(ARGV[2], ARGV[3], -gone)
return done({ 'ok', gone })
