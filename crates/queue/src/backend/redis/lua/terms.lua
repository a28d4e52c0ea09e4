-- Names the terms of the index in the order of their bytes. Reads only.
-- ARGV: time, from, how many. Returns ok, then term, how many jobs, and the id made last.
local reply = { 'ok' }
for _, term in ipairs(call('ZRANGEBYLEX', terms, '[' .. ARGV[2], '+', 'LIMIT', 0, ARGV[3])) do
  local key = P .. 'ix:' .. term
  local at = #reply
  reply[at + 1], reply[at + 2], reply[at + 3] = term, call('ZCARD', key), call('ZREVRANGE', key, 0, 0)[1]
end
return reply
