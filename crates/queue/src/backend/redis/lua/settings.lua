-- All settings of a kind. ARGV: time, kind. Writes nothing.
-- Returns ok, version, then name, value and LAST:FIRED of each.
local key = P .. 'set:' .. ARGV[2]
local all = call('HGETALL', key)
local reply = { 'ok', call('HGET', slast, ARGV[2]) or '0' }
for i = 1, #all, 2 do
  reply[#reply + 1], reply[#reply + 2] = all[i], all[i + 1]
  reply[#reply + 1] = call('HGET', slast, ARGV[2] .. '\0' .. all[i]) or '0:0'
end
return reply
