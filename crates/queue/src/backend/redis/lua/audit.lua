-- Checks that every job is in exactly one place and that the counters agree.
-- ARGV: time, mend (1, or '': then it only reads). Returns ok, then a line for each broken
-- invariant (at most 50), as it was found; a + in front says that it can be mended.
local kept = 0
for _, list in ipairs(call('ZRANGE', fls, 0, -1)) do
  local queue, state = string.match(string.sub(list, #P + 1), '^fl:([^:]+):(%a+):')
  for _, entry in ipairs(call('LRANGE', list, 0, -1)) do
    local id = string.sub(entry, 1, 16)
    kept = kept + 1
    sums[queue .. '\0' .. state] = (sums[queue .. '\0' .. state] or 0) + 1
    local head, lives = call('HGET', fin, id), call('HEXISTS', jobs, id) == 1
    local here = head and string.byte(head) == 43
    if not head or here and not lives then
      wrong('finished job ' .. hex(id) .. ' has no record', function()
        call('LREM', list, 0, entry)
        call('HDEL', fin, id)
      end)
    elseif place_of[id] or lives and not here then
      wrong('job ' .. hex(id) .. ' is finished and alive')
    end
  end
end
if kept ~= call('HLEN', fin) then
  wrong('fin holds ' .. call('HLEN', fin) .. ' jobs, its lists ' .. kept)
end
local counters = call('HGETALL', n)
for i = 1, #counters, 2 do
  local state = string.match(counters[i], '%z(.*)$')
  if state ~= 'processed' and state ~= 'failed' then
    local real = sums[counters[i]] or 0
    if real ~= tonumber(counters[i + 1]) then
      wrong(string.gsub(counters[i], '%z', ' ') .. ': ' .. real .. ' jobs, counted ' .. counters[i + 1], nil, function()
        call('HSET', n, counters[i], real)
      end)
    end
    sums[counters[i]] = nil
  end
end
for field, real in pairs(sums) do
  wrong(string.gsub(field, '%z', ' ') .. ': ' .. real .. ' jobs, not counted', nil, function() call('HSET', n, field, real) end)
end
if ARGV[2] == '1' then
  mend_all()
end
return done(reply)
