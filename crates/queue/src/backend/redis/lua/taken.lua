-- Behind push, for enqueue: takes in one job that needs a closer look; its arguments begin
-- at `at`. Answers with a letter, and the id of the job that stands in its place.
local function taken(at, queue, prio)
  local id, rec, unique, kind, ms = ARGV[at + 1], ARGV[at + 2], ARGV[at + 5], ARGV[at + 7], tonumber(ARGV[at + 8])
  if ARGV[at + 6] == '1' and (call('HEXISTS', jobs, id) == 1 or call('HEXISTS', fin, id) == 1) then
    return '=' .. id
  end
  if unique ~= '' then
    local other = call('HGET', uniq, unique)
    if other and call('HEXISTS', jobs, other) == 1 then
      return '=' .. other
    end
  end
  call('HSET', jobs, id, rec)
  if unique ~= '' then
    call('HSET', uniq, unique, id)
  end
  local m = ARGV[at + 9] == '1' and { q = queue, p = tonumber(prio) } or {}
  local at_ms = kind == 'at' and ms or kind == 'in' and now + ms or now
  if at_ms > now then
    call('ZADD', due, at_ms, id)
    call('SADD', queues, queue)
    count(queue, 'scheduled', 1)
  else
    push('RPUSH', id, m, queue, prio)
  end
  remember(id, m)
  return '.'
end
