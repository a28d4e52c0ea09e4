-- Behind where live jobs are, for audit: records that nothing leads to.

local listed = {}
for _, list in ipairs(call('ZRANGE', fls, 0, -1)) do
  for _, entry in ipairs(call('LRANGE', list, 0, -1)) do
    listed[string.sub(entry, 1, 16)] = true
  end
end
for _, id in ipairs(call('HKEYS', jobs)) do
  if not place_of[id] and call('HEXISTS', fin, id) == 0 then
    local rec = call('HGET', jobs, id)
    local h = header(rec)
    local queue = place(memo(id), h)
    local line = 'job ' .. hex(id) .. ' is nowhere'
    if #id ~= 16 then
      wrong('an entry of jobs that is none: ' .. string.sub(hex(id), 1, 64))
    elseif listed[id] then
      -- It has succeeded, and what is known of that is gone: to run it again would be wrong.
      wrong('job ' .. hex(id) .. ' is finished and not in fin', function() call('HDEL', jobs, id) end)
    elseif h.f then
      -- Whether its turn has come, only its flow knows.
      wrong('job ' .. hex(id) .. ' of a flow is nowhere')
    elseif call('SISMEMBER', queues, queue) == 0 then
      -- It may wait in a list of a queue that was not looked at: the next look tells.
      wrong(line, function() call('SADD', queues, queue) end)
    else
      wrong(line, function() put_back(id) end)
    end
  end
end
