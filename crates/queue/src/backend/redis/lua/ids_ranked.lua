-- Names jobs of a sorted set (due, ix:TERM) in its order. Reads only.
-- ARGV: time, key, down (0 or 1), least score, first score too many, SCORE:ID or '', how many
-- Returns ok, the place to go on behind ('' at the end), then id and place of each.
local key, down, from, want = P .. ARGV[2], ARGV[3] == '1', ARGV[6], tonumber(ARGV[7])
local low = ARGV[4] == '-inf' and 0 or call('ZCOUNT', key, '-inf', '(' .. ARGV[4])
local high = ARGV[5] == '+inf' and call('ZCARD', key) or call('ZCOUNT', key, '-inf', '(' .. ARGV[5])
if from ~= '' then
  local score, id = string.match(from, '^([^:]*):(.*)$')
  local at = place_of(key, score, id)
  if down then
    high = math.min(high, at)
  else
    local there = tonumber(call('ZSCORE', key, id) or 'nan') == tonumber(score)
    low = math.max(low, there and at + 1 or at)
  end
end
local first, final = low, math.min(high, low + want) - 1
if down then
  first, final = math.max(low, high - want), high - 1
end
local page = final >= first and call('ZRANGE', key, first, final, 'WITHSCORES') or {}
local reply = { 'ok', '' }
for i = 1, #page, 2 do
  local at = down and #page - i or i
  reply[#reply + 1], reply[#reply + 2] = page[at], page[at + 1] .. ':' .. page[at]
end
if (down and first > low) or (not down and final < high - 1) then
  reply[2] = reply[#reply]
end
return reply
