-- For audit: what is wrong, and which job was met where.

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
