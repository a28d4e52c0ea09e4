-- Forgets finished jobs of a queue in a state: those that are still in their lists.
-- ARGV: time, queue, state, then LIST ENTRY pairs. Returns ok, how many went.
call('ZREM', lease, '')
touch('HLEN', fin, n)
local gone = 0
for i = 4, #ARGV, 2 do
  if call('LREM', ARGV[i], 1, ARGV[i + 1]) == 1 then
    gone = gone + call('HDEL', fin, string.sub(ARGV[i + 1], 1, 16))
  end
end
count(ARGV[2], ARGV[3], -gone)
return done({ 'ok', gone })
