-- Behind its tools, for audit: nodes that wait, and flows.

local function audit_waiting(id, m, h)
  local root, queue = flow_of(h), place(m, h)
  local hidden = drafted(m, h)
  found(id, 'flow', queue, not hidden and 'blocked' or nil)
  if call('SISMEMBER', P .. 'fo:' .. root, id) == 0 then
    wrong('job ' .. hex(id) .. ' waits in flow ' .. hex(root) .. ', which does not know it')
  end
  local g = string.byte(call('HGET', P .. 'fg:' .. root, id) or '')
  local needs = call('SMEMBERS', P .. 'fd:' .. id)
  local pending = hidden or call('EXISTS', todo) == 1
  if g == 110 and #needs == 0 or g == 101 and not pending then
    wrong('job ' .. hex(id) .. ' waits in flow ' .. hex(root) .. ' for nothing')
  end
  for _, member in ipairs(needs) do
    if call('HEXISTS', jobs, string.sub(member, 1, 16)) == 0 and not pending then
      wrong('job ' .. hex(id) .. ' waits for ' .. hex(string.sub(member, 1, 16)) .. ', which has ended')
    end
  end
end

for _, root in ipairs(call('ZRANGE', flows, 0, -1)) do
  local state, finished = unpack(call('HMGET', P .. 'fw:' .. root, 'state', 'finished'))
  local left = call('SMEMBERS', P .. 'fo:' .. root)
  for _, id in ipairs(left) do
    if call('HEXISTS', jobs, id) == 0 then
      wrong('flow ' .. hex(root) .. ' waits for job ' .. hex(id) .. ', which has no record')
    elseif call('HEXISTS', P .. 'fr:' .. root, id) == 1 then
      wrong('job ' .. hex(id) .. ' of flow ' .. hex(root) .. ' has ended and has not')
    end
  end
  if not state then
    wrong('flow ' .. hex(root) .. ' has no record')
  elseif finished and #left > 0 then
    wrong('flow ' .. hex(root) .. ' has finished, but for ' .. #left .. ' jobs')
  elseif not finished and #left == 0 and state ~= 'draft' and state ~= 'dropped' then
    wrong('flow ' .. hex(root) .. ' has not finished, and no job is left')
  end
end
