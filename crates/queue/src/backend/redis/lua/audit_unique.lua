-- Behind the live jobs, for audit: unique keys have their owners, and who must hold one does.

local values = call('HGETALL', uniq)
for i = 1, #values, 2 do
  local key, id = values[i], string.sub(values[i + 1], 1, 16)
  local rec, lasting = call('HGET', jobs, id), call('ZSCORE', locks, key)
  if not rec and not lasting then
    wrong('a unique key is held by job ' .. hex(id) .. ', which has no record', function() call('HDEL', uniq, key) end)
  elseif rec and not lasting and unique_of(header(rec)) ~= key then
    wrong('job ' .. hex(id) .. ' holds a unique key that it does not name')
  end
end
for _, key in ipairs(call('ZRANGE', locks, 0, -1)) do
  if call('HEXISTS', uniq, key) == 0 then
    wrong('a unique key is held for a time, and by nobody: ' .. hex(key))
  end
end
for _, id in ipairs(call('HKEYS', jobs)) do
  local rec = call('HGET', jobs, id)
  local h = string.byte(rec) == 42 and header(rec) or {}
  local key, scope = call('HEXISTS', fin, id) == 0 and unique_of(h), scope_of(h)
  local leased = string.sub(place_of[id] or '', 1, 2) == 'b:'
  if key and leased and (scope.s or scope.l) and owner(key) == id then
    wrong('job ' .. hex(id) .. ' is leased and holds the unique key that its start gives up')
  elseif key and not (scope.s or scope.l and (leased or h.f)) and owner(key) ~= id then
    wrong('job ' .. hex(id) .. ' does not hold its unique key')
  end
end
