-- Behind release, for stage: a draft becomes a flow.
local function commit(root, w)
  local fields = call('HGETALL', w)
  call('HSET', w, 'state', 'running')
  for i = 1, #fields, 2 do
    local queue = string.match(fields[i], '^n:(.*)$')
    if queue then
      count(queue, 'blocked', tonumber(fields[i + 1]))
      call('SADD', queues, queue)
      call('HDEL', w, fields[i])
    end
  end
  if call('EXISTS', P .. 'fo:' .. root) == 0 then
    return over(root, w)
  end
  later('b', root)
end
