-- Behind push, for enqueue: jobs that need a closer look.

-- Jobs that are due later and have nothing else to be looked at: many go in one command.
local later_records, later_due, later_queues = {}, {}, {}

local function put_off(id, rec, queue, at_ms)
  local i = #later_due
  later_records[i + 1], later_records[i + 2] = id, rec
  later_due[i + 1], later_due[i + 2] = at_ms, id
  later_queues[queue] = true
  count(queue, 'scheduled', 1)
end

local function put_all_off()
  if #later_due > 0 then
    call('HSET', jobs, unpack(later_records))
    call('ZADD', due, unpack(later_due))
    for queue in pairs(later_queues) do
      call('SADD', queues, queue)
    end
  end
end

-- Takes in one job; its arguments begin at `at`. Answers with a letter, and the id of the job
-- that stands in its place.
local function taken(at, queue, prio)
  local id, rec, unique, kind, ms = ARGV[at + 1], ARGV[at + 2], ARGV[at + 5], ARGV[at + 7], tonumber(ARGV[at + 8])
  local chosen, odd, limit, cost = ARGV[at + 6] == '1', ARGV[at + 9] == '1', ARGV[at + 10], tonumber(ARGV[at + 11])
  if chosen and (call('HEXISTS', jobs, id) == 1 or call('HEXISTS', fin, id) == 1) then
    return '=' .. id
  end
  local at_ms = kind == 'at' and ms or kind == 'in' and now + ms or now
  if at_ms > now and string.byte(rec) ~= 42 and unique == '' and limit == '' and not odd and not chosen then
    put_off(id, rec, queue, at_ms)
    return '.'
  elseif unique ~= '' then
    local scope = scope_of(header(rec))
    local other, value = held(unique)
    if other and (scope.r or scope.d) and replace(other, value, rec, queue, tonumber(prio), odd, scope.d and at_ms) then
      return '~' .. other
    elseif other then
      return '=' .. other
    end
    hold(unique, id, scope)
  end
  call('HSET', jobs, id, rec)
  -- A key alone is told beside the record: its header is read for tags, metadata, a unique key.
  local marked = string.byte(rec) == 42 and (unique ~= '' or string.find(rec, '"g":[', 1, true) or string.find(rec, '"d":{', 1, true))
  local h = marked and header(rec) or {}
  if h.g or h.d then
    index(id, h)
  end
  local m = odd and { q = queue, p = tonumber(prio), l = limit ~= '' and limit or nil } or {}
  if at_ms > now then
    call('ZADD', due, at_ms, id)
    call('SADD', queues, queue)
    count(queue, 'scheduled', 1)
  elseif limit ~= '' then
    join('RPUSH', id, queue, prio, limit, odd and 1 or cost)
  else
    push('RPUSH', id, m, queue, prio, h)
  end
  if next(m) then
    remember(id, m)
  end
  return '.'
end
