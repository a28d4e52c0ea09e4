-- Names finished jobs, the newest end first, those of one instant by id. Reads only.
-- ARGV: time, state, queue or '', AT:ID or '', how many
-- Returns ok, the place to go on behind ('' at the end), then id and place of each.
local state, wanted, want = ARGV[2], ARGV[3], tonumber(ARGV[5])
local from, after = string.match(ARGV[4], '^(%d+):(.*)$')
from = tonumber(from) or math.huge

-- How many entries at the tail of a list ended later than the page begins.
local function later(list)
  local low, high = 0, call('LLEN', list)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if ended(call('LINDEX', list, -middle - 1)) > from then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

local all, more = {}, false
for _, list in ipairs(call('ZRANGE', fls, 0, -1)) do
  local queue, what = string.match(string.sub(list, #P + 1), '^fl:([^:]+):(%a+):')
  if what == state and (wanted == '' or queue == wanted) then
    local skip, got, at = from < math.huge and later(list) or 0, 0, nil
    repeat
      local entries = call('LRANGE', list, -skip - 200, -skip - 1)
      for i = #entries, 1, -1 do
        local entry = entries[i]
        local when = ended(entry)
        if got >= want and when ~= at then
          more, skip, entries = true, nil, {}
          break -- enough, and nobody of the same instant is left out
        elseif when < from or (when == from and before(entry, after)) then
          all[#all + 1], got, at = { string.sub(entry, 1, 16), when }, got + 1, when
        end
      end
      skip = skip and skip + #entries
    until #entries == 0
  end
end
table.sort(all, function(a, b)
  if a[2] ~= b[2] then
    return a[2] > b[2]
  end
  return before(b[1], a[1])
end)
local reply = { 'ok', '' }
for i = 1, math.min(#all, want) do
  local id, at = unpack(all[i])
  reply[#reply + 1], reply[#reply + 2] = id, text(at) .. ':' .. id
end
reply[2] = (more or #all > want) and reply[#reply] or ''
return reply
