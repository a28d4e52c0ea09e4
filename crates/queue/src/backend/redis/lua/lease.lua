-- Leases the heads of queues: available -> leased (or blocked, or cancelled).
-- ARGV: time, worker, ttl, alone (0 or 1), how many in all, then QUEUE MAX pairs (MAX at most
--   1000), in the order wanted; a queue may stand there twice
-- Returns ok, now, expires, batches; a batch is token, queue, ids in one string, records,
--   and notes: index, attempts, crashes, suspect of the jobs that have any.
-- Invariant: a record is only read; an id leaves its list in the step that puts it in a batch.
call('ZREM', lease, '')
touch('HLEN', jobs, batch, n, serial, uniq)
touch('ZCARD', locks)
if metas or ghosts then
  touch('HLEN', fin, gn, prog, steps)
  touch('ZCARD', watch, fls)
  touch('SCARD', cancels, queues)
end
local lists = {}
for i = 6, #ARGV, 2 do
  local stop = call('HGET', paused, ARGV[i])
  local free, names = not stop or (stop ~= '0' and tonumber(stop) <= now), {}
  for prio = 0, 9 do
    names[prio + 1] = P .. 'q:' .. ARGV[i] .. ':' .. prio
  end
  local filled, prio = free and call('EXISTS', unpack(names)) or 0, 0
  while filled > 0 do
    -- Most jobs have the middle priority: when it alone holds any, one look is enough.
    local at = (filled == 1 and prio == 0 and call('EXISTS', names[6]) == 1) and 5 or prio
    local length = call('LLEN', names[at + 1])
    if length > 0 then
      lists[#lists + 1] = { ARGV[i], at, length, i }
      filled = filled - 1
    end
    prio = prio + 1
  end
  if stop and stop ~= '0' and tonumber(stop) <= now then
    call('HDEL', paused, ARGV[i])
  end
end
local at, room = 1, tonumber(ARGV[5])
while lists[at] do
  local slot, queue = lists[at][4], lists[at][1]
  local most = math.min(tonumber(ARGV[slot + 1]), room)
  local want, shared = most, { ids = {}, recs = {}, notes = {} }
  while lists[at] and lists[at][4] == slot do
    local prio, left = lists[at][2], lists[at][3]
    while left > 0 and want - #shared.ids > 0 do
      local entries = call('LPOP', P .. 'q:' .. queue .. ':' .. prio, math.min(want - #shared.ids, 200)) or {}
      left = #entries > 0 and left - #entries or 0
      if #entries > 0 then
        want = want - take(queue, prio, entries, shared)
      end
    end
    at = at + 1
  end
  room = room - (most - want) - #shared.ids
  if #shared.ids > 0 then
    open(queue, #shared.ids == 1, shared.ids, shared.recs, shared.notes)
  end
end
if #out > 0 then
  call('SET', last, text(top))
end
return done({ 'ok', now, now + ttl, out })
