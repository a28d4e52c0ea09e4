-- Behind its tools, for audit: the governed lanes, and the permits.

-- Limit key -> ids of the jobs that are leased under it.
local leased_under = {}

-- A leased job holds its permit.
local function under(id, token)
  local key = governed(memo(id), header(call('HGET', jobs, id) or ''))
  if key then
    leased_under[key] = leased_under[key] or {}
    leased_under[key][id] = true
    if call('HGET', permit, id) ~= string.rep('0', 16 - #token) .. token .. key then
      wrong('job ' .. hex(id) .. ' is leased under ' .. key .. ' without a permit')
    end
  end
end

-- Every permit counted is that of a leased job, and the other way round.
local function audit_permits()
  local all, permits = call('HGETALL', inuse), 0
  for i = 1, #all, 2 do
    for at = 1, #all[i + 1], 16 do
      local id, jobs_of = string.sub(all[i + 1], at, at + 15), leased_under[all[i]]
      permits = permits + 1
      if not (jobs_of and jobs_of[id]) then
        wrong('a permit of ' .. all[i] .. ' is held by job ' .. hex(id) .. ', which is not leased under it')
      else
        jobs_of[id] = nil
      end
    end
  end
  for key, rest in pairs(leased_under) do
    for id in pairs(rest) do
      wrong('job ' .. hex(id) .. ' is leased and not counted under ' .. key)
    end
  end
  if call('HLEN', permit) ~= permits then
    wrong('there are ' .. call('HLEN', permit) .. ' permits, counted are ' .. permits)
  end
end

-- Every key that holds work waits in exactly one place.
for _, queue in ipairs(call('SMEMBERS', queues)) do
  local at, waiting = {}, 0
  for _, key in ipairs(call('LRANGE', P .. 'ring:' .. queue, 0, -1)) do
    at[key] = (at[key] or 0) + 1
  end
  for _, key in ipairs(call('ZRANGE', P .. 'cool:' .. queue, 0, -1)) do
    at[key] = (at[key] or 0) + 1
  end
  local stand = call('HGETALL', full)
  for i = 1, #stand, 2 do
    if string.find(' ' .. stand[i + 1] .. ' ', ' ' .. queue .. ' ', 1, true) and string.find(stand[i], '/', 1, true) then
      at[stand[i]] = (at[stand[i]] or 0) + 1
    end
  end
  for _, key in ipairs(call('SMEMBERS', P .. 'k:' .. queue)) do
    if at[key] ~= 1 then
      wrong('key ' .. key .. ' of ' .. queue .. ' waits in ' .. (at[key] or 0) .. ' places')
    end
    for _, entry in ipairs(call('ZRANGE', P .. 'w:' .. queue .. ':' .. key, 0, -1)) do
      waiting = waiting + 1
      found(string.sub(entry, 1, 16), 'w:' .. queue .. ':' .. key)
    end
  end
  local counted = tonumber(call('HGET', gov, queue) or 0)
  if waiting ~= counted then
    wrong(queue .. ': ' .. waiting .. ' wait in its governed lane, counted are ' .. counted)
  end
end
