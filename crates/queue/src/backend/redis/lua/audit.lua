-- Checks that every job is in exactly one place and that the counters agree. Reads only.
-- ARGV: time. Returns ok, then one line for each broken invariant (at most 50).
local reply, place_of, sums = { 'ok' }, {}, {}
local function hex(id)
  return (string.gsub(id, '.', function(c) return string.format('%02x', string.byte(c)) end))
end
local function wrong(line)
  if #reply < 51 then
    reply[#reply + 1] = line
  end
end
local function found(id, where, queue, state)
  if place_of[id] then
    wrong('job ' .. hex(id) .. ' is in ' .. place_of[id] .. ' and in ' .. where)
  elseif call('HEXISTS', jobs, id) == 0 then
    wrong('job ' .. hex(id) .. ' in ' .. where .. ' has no record')
  end
  place_of[id] = where
  if state then
    sums[queue .. '\0' .. state] = (sums[queue .. '\0' .. state] or 0) + 1
  end
end
for _, queue in ipairs(call('SMEMBERS', queues)) do
  for prio = 0, 9 do
    local name, ghosts = queue .. ':' .. prio, 0
    for _, entry in ipairs(call('LRANGE', P .. 'q:' .. name, 0, -1)) do
      if call('HEXISTS', ghost, entry) == 1 then
        ghosts = ghosts + 1
      else
        found(string.sub(entry, 1, 16), 'q:' .. name)
      end
    end
    local counted = tonumber(call('HGET', gn, name) or 0)
    if counted ~= ghosts then
      wrong('q:' .. name .. ' has ' .. ghosts .. ' ghosts, counted are ' .. counted)
    end
  end
end
for _, id in ipairs(call('ZRANGE', due, 0, -1)) do
  local rec, m = call('HGET', jobs, id), memo(id)
  found(id, 'due', place(m, rec and header(rec) or {}), m.st == 'retryable' and m.st or 'scheduled')
end
for _, token in ipairs(call('ZRANGE', lease, 0, -1)) do
  local queue = string.match(call('HGET', batch, token) or '', '^%d(%S+)') or '?'
  for _, id in ipairs(call('LRANGE', P .. 'b:' .. token, 0, -1)) do
    found(id, 'b:' .. token, queue, 'leased')
  end
end
local memos = call('HGETALL', meta)
for i = 1, #memos, 2 do
  local m, rec = memo(memos[i]), call('HGET', jobs, memos[i])
  if not rec then
    wrong('job ' .. hex(memos[i]) .. ' has a memo and no record')
  elseif m.st == 'serial' or m.st == 'parked' then
    local h = header(rec)
    local queue = place(m, h)
    found(memos[i], m.st, queue, 'blocked')
    local list = m.st == 'serial' and 'sw:' .. tostring(h.s) or 'pk:' .. tostring(h.n)
    if not call('LPOS', P .. list, memos[i]) then
      wrong('job ' .. hex(memos[i]) .. ' is blocked and not in ' .. list)
    end
    if m.st == 'parked' then
      sums[queue .. '\0parked'] = (sums[queue .. '\0parked'] or 0) + 1
    end
  end
end
for _, id in ipairs(call('HKEYS', jobs)) do
  if not place_of[id] then
    wrong('job ' .. hex(id) .. ' is nowhere')
  end
end
local kept = 0
for _, list in ipairs(call('ZRANGE', fls, 0, -1)) do
  local queue, state = string.match(string.sub(list, #P + 1), '^fl:([^:]+):(%a+):')
  for _, entry in ipairs(call('LRANGE', list, 0, -1)) do
    local id = string.sub(entry, 1, 16)
    kept = kept + 1
    sums[queue .. '\0' .. state] = (sums[queue .. '\0' .. state] or 0) + 1
    if call('HEXISTS', fin, id) == 0 then
      wrong('finished job ' .. hex(id) .. ' has no record')
    elseif call('HEXISTS', jobs, id) == 1 then
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
      wrong(string.gsub(counters[i], '%z', ' ') .. ': ' .. real .. ' jobs, counted ' .. counters[i + 1])
    end
    sums[counters[i]] = nil
  end
end
for field, real in pairs(sums) do
  wrong(string.gsub(field, '%z', ' ') .. ': ' .. real .. ' jobs, not counted')
end
for _, pair in ipairs({ { uniq, 'unique' }, { serial, 'serial' } }) do
  local held = call('HGETALL', pair[1])
  for i = 1, #held, 2 do
    if call('HEXISTS', jobs, held[i + 1]) == 0 then
      wrong('a ' .. pair[2] .. ' key is held by job ' .. hex(held[i + 1]) .. ', which has no record')
    end
  end
end
return reply
