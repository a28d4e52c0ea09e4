-- Removes waiting jobs of a queue for good, a step at a time.
-- ARGV: time, queue, limit, phase (list, keys, due, meta), cursor
-- Returns ok, how many went, and the cursor of the next step in this phase ('0' at its end).
call('ZREM', lease, '')
touch('HLEN', jobs, meta, n, uniq, parked, ghost, gn, prog, steps)
touch('HLEN', gov, full)
touch('ZCARD', locks, watch, due)
touch('SCARD', cancels, queues)
local queue, left, gone = ARGV[2], tonumber(ARGV[3]), 0
touch_lanes(queue)

local function drop(id, rec, m)
  local _, _, _, h = forget(id, rec, m)
  unindex({ id })
  call('ZREM', watch, id)
  if type(h.f) == 'string' then
    follow(id, flow_of(h), 'cancelled', 'purged', m)
  end
  gone = gone + 1
end

if ARGV[4] == 'list' then
  for prio = 0, 9 do
    local key = P .. 'q:' .. queue .. ':' .. prio
    while gone < left do
      local entries = call('LPOP', key, math.min(left - gone, 500))
      for _, entry in ipairs(entries or {}) do
        local id = string.sub(entry, 1, 16)
        local rec = call('HGET', jobs, id)
        if call('HDEL', ghost, entry) == 1 then
          call('HINCRBY', gn, queue .. ':' .. prio, -1)
        elseif rec then
          drop(id, rec, memo(id))
        end
      end
      if not entries then
        break
      end
    end
  end
  return done({ 'ok', gone, '0' })
elseif ARGV[4] == 'keys' then
  purge_keys(queue, left, drop)
  return done({ 'ok', gone, '0' })
end
local scan = ARGV[4] == 'due' and call('ZSCAN', due, ARGV[5], 'COUNT', 500)
  or call('HSCAN', meta, ARGV[5], 'COUNT', 500)
for i = 1, #scan[2], 2 do
  local id = scan[2][i]
  local rec, m = call('HGET', jobs, id), memo(id)
  local blocked = m.st == 'parked' or m.st == 'flow'
  local h = rec and (blocked or ARGV[4] == 'due') and header(rec)
  if h and place(m, h) == queue and gone < left and not drafted(m, h) then
    if m.st == 'parked' then
      call('LREM', P .. 'pk:' .. tostring(h.n), 1, id)
      call('HINCRBY', parked, tostring(h.n), -1)
      count(queue, 'parked', -1)
    elseif m.st ~= 'flow' then
      call('ZREM', due, id)
    end
    count(queue, blocked and 'blocked' or m.st == 'retryable' and 'retryable' or 'scheduled', -1)
    drop(id, rec, m)
  end
end
-- At the limit the same step comes again: what went is not seen twice.
return done({ 'ok', gone, gone >= left and ARGV[5] or scan[1] })
