-- Names leased jobs, the newest batch first. Reads only.
-- ARGV: time, queue or '', TOKEN:ID or '', how many
-- Returns ok, the place to go on behind ('' at the end), then id and place of each.
local wanted, want = ARGV[2], tonumber(ARGV[4])
local from, after = string.match(ARGV[3], '^(%d+):(.*)$')
local tokens, reply = call('ZRANGE', lease, 0, -1), { 'ok', '' }
table.sort(tokens, function(a, b) return tonumber(a) > tonumber(b) end)
for _, token in ipairs(tokens) do
  local begins = not from or tonumber(token) <= tonumber(from)
  local queue = begins and string.match(call('HGET', batch, token) or '', '^%d(%S+)')
  if begins and (wanted == '' or queue == wanted) then
    local key = P .. 'b:' .. token
    -- A batch goes on behind the job last seen; when that has left it, it is shown once more.
    local at = token == from and call('LPOS', key, after)
    for _, id in ipairs(call('LRANGE', key, at and at + 1 or 0, -1)) do
      if #reply >= 2 + 2 * want then
        return reply
      end
      reply[2] = token .. ':' .. id
      reply[#reply + 1], reply[#reply + 2] = id, reply[2]
    end
  end
end
reply[2] = ''
return reply
