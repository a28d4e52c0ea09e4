-- Behind its tools, for audit: the index has what jobs have, and nothing else.

local function show(term)
  return (string.gsub(string.gsub(term, '%z', '='), '%c', '?'))
end

local entries = 0
for _, term in ipairs(call('ZRANGE', terms, 0, -1)) do
  local ids = call('ZRANGE', P .. 'ix:' .. term, 0, -1)
  entries = entries + #ids
  for _, id in ipairs(ids) do
    if not string.find((call('HGET', idx, id) or '') .. '\n', '\n' .. term .. '\n', 1, true) then
      wrong('the index has job ' .. hex(id) .. ' under ' .. show(term) .. ', which is not its own')
    end
  end
  if #ids == 0 then
    wrong('the index has nothing under ' .. show(term))
  end
end
local labelled = call('HGETALL', idx)
for i = 1, #labelled, 2 do
  local id = labelled[i]
  if call('HEXISTS', jobs, id) == 0 and call('HEXISTS', fin, id) == 0 then
    wrong('the index has job ' .. hex(id) .. ', which has no record')
  end
  for term in string.gmatch(labelled[i + 1], '[^\n]+') do
    entries = entries - 1
    if not call('ZSCORE', P .. 'ix:' .. term, id) then
      wrong('the index lacks job ' .. hex(id) .. ' under ' .. show(term))
    end
  end
end
if entries ~= 0 then
  wrong('the index has ' .. entries .. ' entries more than its jobs have terms')
end
for _, key in ipairs({ jobs, fin }) do
  local cursor = '0'
  repeat
    local step = call('HSCAN', key, cursor, 'COUNT', 500)
    cursor = step[1]
    for i = 1, #step[2], 2 do
      local rec = step[2][i + 1]
      if key == fin then
        local _
        _, rec = finished(step[2][i], rec)
      end
      local h = string.byte(rec) == 42 and header(rec) or {}
      if (h.g or h.d) and call('HEXISTS', idx, step[2][i]) == 0 then
        wrong('the index lacks job ' .. hex(step[2][i]) .. ', which has tags or metadata')
      end
    end
  until cursor == '0'
end
