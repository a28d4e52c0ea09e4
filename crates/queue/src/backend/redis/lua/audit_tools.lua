-- For audit: what is wrong, which job was met where, and how some of it is mended.

local reply, place_of, sums, fixes, late = { 'ok' }, {}, {}, {}, {}
local function hex(id)
  return (string.gsub(id, '.', function(c) return string.format('%02x', string.byte(c)) end))
end
-- `fix` mends it; `after` does, when nothing else is left to be mended.
local function wrong(line, fix, after)
  if #reply < 51 then
    reply[#reply + 1] = ((fix or after) and '+' or '') .. line
    fixes[#fixes + 1], late[#late + 1] = fix, after
  end
end
local function found(id, where, queue, state, entry)
  if place_of[id] then
    wrong('job ' .. hex(id) .. ' is in ' .. place_of[id] .. ' and in ' .. where)
  elseif call('HEXISTS', jobs, id) == 0 then
    local list, fix = string.match(where, '^[qb]:'), nil
    if list then
      fix = function() call('LREM', P .. where, 0, entry or id) end
    elseif where == 'due' then
      fix = function() call('ZREM', due, id) end
    end
    wrong('job ' .. hex(id) .. ' in ' .. where .. ' has no record', fix)
  end
  place_of[id] = where
  if state then
    sums[queue .. '\0' .. state] = (sums[queue .. '\0' .. state] or 0) + 1
  end
end

-- A job that has no place waits again.
local function put_back(id)
  local rec, m = call('HGET', jobs, id), memo(id)
  if rec then
    local h = header(rec)
    local queue, prio = place(m, h)
    push('RPUSH', id, m, queue, prio, h)
    remember(id, m)
  end
end

-- A lease of which nothing else is known: its jobs wait again.
local function give_up(token)
  for _, id in ipairs(call('LRANGE', P .. 'b:' .. token, 0, -1)) do
    put_back(id)
  end
  call('ZREM', lease, token)
  call('UNLINK', P .. 'b:' .. token, P .. 'o:' .. token, P .. 'x:' .. token)
end

-- Mends what was found, as far as that is known. Counters come last: they follow from the rest.
local function mend_all()
  for _, fix in ipairs(#fixes > 0 and fixes or late) do
    fix()
  end
end
