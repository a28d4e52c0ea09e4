-- Behind its tools, for audit: where live jobs are.

for _, queue in ipairs(call('SMEMBERS', queues)) do
  for prio = 0, 9 do
    local name, ghosts = queue .. ':' .. prio, 0
    for _, entry in ipairs(call('LRANGE', P .. 'q:' .. name, 0, -1)) do
      if call('HEXISTS', ghost, entry) == 1 then
        ghosts = ghosts + 1
      else
        local m = #entry == 16 and memo(entry) or {}
        if m.a or m.c or m.k or m.x then
          wrong('job ' .. hex(entry) .. ' in q:' .. name .. ' has a memo that no lease would see')
        end
        found(string.sub(entry, 1, 16), 'q:' .. name, nil, nil, entry)
      end
    end
    local counted = tonumber(call('HGET', gn, name) or 0)
    if counted ~= ghosts then
      wrong('q:' .. name .. ' has ' .. ghosts .. ' ghosts, counted are ' .. counted, function()
        call('HSET', gn, name, ghosts)
      end)
    end
  end
end
for _, id in ipairs(call('ZRANGE', due, 0, -1)) do
  local rec, m = call('HGET', jobs, id), memo(id)
  found(id, 'due', place(m, rec and header(rec) or {}), m.st == 'retryable' and m.st or 'scheduled')
end
for _, token in ipairs(call('ZRANGE', lease, 0, -1)) do
  local queue = string.match(call('HGET', batch, token) or '', '^%d(%S+)') or '?'
  if queue == '?' then
    wrong('lease ' .. token .. ' has no batch', function() give_up(token) end)
  end
  for _, id in ipairs(call('LRANGE', P .. 'b:' .. token, 0, -1)) do
    found(id, 'b:' .. token, queue, 'leased')
    under(id, token)
  end
end
local memos = call('HGETALL', meta)
for i = 1, #memos, 2 do
  local m, rec = memo(memos[i]), call('HGET', jobs, memos[i])
  if not rec then
    wrong('job ' .. hex(memos[i]) .. ' has a memo and no record', function() call('HDEL', meta, memos[i]) end)
  elseif m.st == 'flow' then
    audit_waiting(memos[i], m, header(rec))
  elseif m.st == 'parked' then
    local h = header(rec)
    local queue = place(m, h)
    found(memos[i], m.st, queue, 'blocked')
    local list = 'pk:' .. tostring(h.n)
    if not call('LPOS', P .. list, memos[i]) then
      wrong('job ' .. hex(memos[i]) .. ' is blocked and not in ' .. list)
    end
    sums[queue .. '\0parked'] = (sums[queue .. '\0parked'] or 0) + 1
  end
end
for _, field in ipairs(call('HKEYS', steps)) do
  local id = string.sub(field, 1, 16)
  if not memo(id).o then
    wrong('job ' .. hex(id) .. ' has steps or a cursor that nothing knows of', function() call('HDEL', steps, field) end)
  end
end
for _, id in ipairs(call('SMEMBERS', cancels)) do
  if not memo(id).x then
    wrong('job ' .. hex(id) .. ' is to be cancelled, and its memo does not say so', function() call('SREM', cancels, id) end)
  end
end
audit_permits()
