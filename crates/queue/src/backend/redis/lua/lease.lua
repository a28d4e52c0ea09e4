-- Leases the heads of queues: available -> leased (or cancelled).
-- ARGV: time, worker, ttl, alone (0 or 1), how many in all, then QUEUE MAX pairs (MAX at most
--   1000), in the order wanted; a queue may stand there twice
-- Returns ok, now, expires, when to ask again at the latest or '', batches; a batch is token,
--   queue, ids in one string, records (none of a large batch: to be read natively), and
--   notes: index, attempts, crashes, suspect of the jobs that have any.
-- Invariant: a record is only read; an id leaves its list in the step that puts it in a batch.
call('ZREM', lease, '')
touch('HLEN', jobs, batch, n, uniq)
touch('ZCARD', locks)
if metas or ghosts then
  touch('HLEN', fin, gn, prog, steps)
  touch('ZCARD', watch, fls)
  touch('SCARD', cancels, queues)
end
if watched then
  touch('HLEN', gov, lim, inuse, permit, full, rate, P .. 'set:limit')
end
-- The longest lease that anybody takes: none ends later than that from now; see reap.
local longest = tonumber(call('HGET', mended, 'ttl') or 0)
local slots = {}
for i = 6, #ARGV, 2 do
  local queue = ARGV[i]
  local stop = call('HGET', paused, queue)
  if not stop or (stop ~= '0' and tonumber(stop) <= now) then
    local keyed = watched and call('HEXISTS', gov, queue) == 1
    if keyed then
      touch('LLEN', P .. 'ring:' .. queue)
      touch('SCARD', P .. 'k:' .. queue)
      touch('ZCARD', P .. 'cool:' .. queue)
    end
    local lists = lists_of(queue)
    if keyed or #lists > 0 then
      slots[#slots + 1] = { queue = queue, most = tonumber(ARGV[i + 1]), lists = lists, keyed = keyed }
    end
  elseif stop ~= '0' then
    soonest(tonumber(stop))
  end
  if stop and stop ~= '0' and tonumber(stop) <= now then
    call('HDEL', paused, queue)
  end
end
local room = tonumber(ARGV[5])
for _, slot in ipairs(slots) do
  local queue, both, got, stop = slot.queue, slot.keyed and #slot.lists > 0, 0, nil
  local want, budget = ceiling(queue, math.min(slot.most, room))
  -- Where both lanes hold work each gets half; a single job comes from either.
  local half = both and (want > 1 and math.ceil(want / 2) or (top + 1) % 2) or want
  if slot.keyed and half > 0 and want > 0 then
    got, stop = turns(queue, half, budget)
  end
  if not stop then
    got = got + plain(queue, slot.lists, affordable(want - got, budget), budget)
  end
  if both and not stop and got < want then
    got = got + turns(queue, want - got, budget)
  end
  room = room - got
end
if #out > 0 then
  call('SET', last, text(top))
  if ttl > longest then
    call('HSET', mended, 'ttl', ARGV[3])
  end
end
close_books()
return done({ 'ok', now, now + ttl, next_ms or '', out })
