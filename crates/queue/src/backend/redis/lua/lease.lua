-- Leases the heads of queues: available -> leased (or blocked, or cancelled).
-- ARGV: time, worker, ttl, alone (0 or 1), then QUEUE MAX pairs (MAX at most 1000)
-- Returns ok, now, expires, batches; a batch is token, queue, ids in one string, records,
--   and notes: index, attempts, crashes, suspect of the jobs that have any.
-- Invariant: a record is only read; an id leaves its list in the step that puts it in a batch.
call('ZREM', lease, '')
touch('HLEN', jobs, batch, n, serial)
local metas, ghosts = call('HLEN', meta) > 0, call('HLEN', ghost) > 0
if metas or ghosts then
  touch('HLEN', fin, gn, uniq, prog)
  touch('ZCARD', watch, fls)
  touch('SCARD', cancels, queues)
end
local worker, ttl, alone = ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
local top, out, lists = tonumber(call('GET', last) or 0), {}, {}

local function open(queue, single, ids, recs, notes)
  top = math.max(top + 1, micros)
  local token, all = text(top), table.concat(ids)
  call('RPUSH', P .. 'b:' .. token, unpack(ids))
  call('SET', P .. 'o:' .. token, all)
  call('ZADD', lease, now + ttl, token)
  call('HSET', batch, token, (single and '1' or '0') .. queue .. ' ' .. worker)
  count(queue, 'leased', #ids)
  out[#out + 1] = { token, queue, all, recs, notes }
end

-- One job off the fast path: true and its memo when it may be leased.
local function admit(queue, id, rec, known)
  local m = known and memo(id) or {}
  if m.x then
    return finish(id, rec, m, queue, 'cancelled', HOUR, 'requested')
  end
  local key = string.byte(rec) == 42 and header(rec).s
  if type(key) == 'string' then
    if call('HGET', serial, key) then
      m.st = 'serial'
      remember(id, m)
      call('RPUSH', P .. 'sw:' .. key, id)
      return count(queue, 'blocked', 1)
    end
    call('HSET', serial, key, id)
  end
  return true, m
end

-- Leases what is good of these entries; returns how many. Good jobs of the fast path and
-- those that are not suspect share a batch, which the caller opens.
local function take(queue, prio, entries, ids, recs, notes)
  local dead, names, single = ghosts and call('HMGET', ghost, unpack(entries)), {}, 0
  for i, entry in ipairs(entries) do
    names[i] = #entry > 16 and string.sub(entry, 1, 16) or entry
  end
  local found = call('HMGET', jobs, unpack(names))
  local known = metas and call('HMGET', meta, unpack(names))
  local plain = not dead and not known and not alone
  for i, id in ipairs(names) do
    local rec, special = found[i], known and known[i]
    if plain and rec and string.byte(rec) ~= 42 then
      ids[#ids + 1], recs[#recs + 1] = id, rec
    elseif dead and dead[i] then
      call('HDEL', ghost, entries[i])
      call('HINCRBY', gn, queue .. ':' .. prio, -1)
    elseif rec then
      local good, m = true, nil
      if special or string.byte(rec) == 42 then
        good, m = admit(queue, id, rec, special)
      end
      local note = m and { #ids + 1, m.a or 0, m.c or 0, m.k and 1 or 0 }
      if good and (alone or m and m.k) then
        if note then
          note[1] = 1
        end
        open(queue, true, { id }, { rec }, note or {})
        single = single + 1
      elseif good then
        ids[#ids + 1], recs[#recs + 1] = id, rec
        for _, value in ipairs(note or {}) do
          notes[#notes + 1] = value
        end
      end
    end
  end
  return single
end

for i = 5, #ARGV, 2 do
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
local at = 1
while lists[at] do
  local slot, queue = lists[at][4], lists[at][1]
  local want, ids, recs, notes = tonumber(ARGV[slot + 1]), {}, {}, {}
  while lists[at] and lists[at][4] == slot do
    local prio, left = lists[at][2], lists[at][3]
    while left > 0 and want - #ids > 0 do
      local entries = call('LPOP', P .. 'q:' .. queue .. ':' .. prio, math.min(want - #ids, 200)) or {}
      left = #entries > 0 and left - #entries or 0
      if #entries > 0 then
        want = want - take(queue, prio, entries, ids, recs, notes)
      end
    end
    at = at + 1
  end
  if #ids > 0 then
    open(queue, false, ids, recs, notes)
  end
end
if #out > 0 then
  call('SET', last, text(top))
end
return done({ 'ok', now, now + ttl, out })
