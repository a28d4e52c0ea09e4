-- Acts on one job, or a flow. ARGV: time, id, action (cancel, discard, mend, retry; hurry is a
-- retry of what waits, redrive of what is final).
-- Returns done STATE, requested, missing, refused STATE, or duplicate ID.
-- Waiting -> cancelled, discarded, available; final -> available; leased: a mark is left.
-- Invariant: a job that goes from the plain lane leaves a ghost in its list, counted so that the depth
-- is right; lease drops it when it comes to it.
call('ZREM', lease, '')
touch('HLEN', jobs, meta, fin, n, uniq, parked, ghost, gn, prog, steps)
touch('ZCARD', locks, due, fls, watch)
touch('HLEN', gov, inuse, idx)
touch('GET', ord)
touch('SCARD', cancels, queues)
local id, action = ARGV[2], ARGV[3]
local kept = call('HGET', fin, id)
local rec = not kept and call('HGET', jobs, id)

if not rec or drafted(memo(id), header(rec)) then
  local flow = call('HMGET', P .. 'fw:' .. id, 'state', 'finished')
  if flow[1] and flow[1] ~= 'draft' and flow[1] ~= 'dropped' then
    return steer_flow(id, action, flow[1], flow[2])
  elseif rec or not kept or action == 'mend' then
    return { 'missing' }
  elseif (action == 'retry' or action == 'redrive') and not of_flow(id, kept) then
    return redrive(id, kept)
  end
  return { 'refused', finished(id, kept).s }
end
if action == 'mend' then
  return { 'missing' }
end
local m, h = memo(id), header(rec)
local queue, prio = place(m, h)
touch_lanes(queue)
local state = stand(id, m)
if state == 'leased' or action == 'redrive' then
  if action ~= 'cancel' then
    return { 'refused', state }
  end
  m.x = true
  remember(id, m)
  call('SADD', cancels, id)
  redis.pcall('PUBLISH', P .. 'wake', 'cancel')
  return { 'requested' }
elseif action == 'retry' or action == 'hurry' then
  if m.st == 'flow' then
    return { 'refused', state }
  elseif state ~= 'available' then
    pull(id, state, m, h, queue, prio)
    push('RPUSH', id, m, queue, prio, h)
    remember(id, m)
  end
  return done({ 'done', 'available' })
end
pull(id, state, m, h, queue, prio)
if action == 'cancel' then
  finish(id, rec, m, queue, 'cancelled', HOUR, 'requested')
  return done({ 'done', 'cancelled' })
end
finish(id, rec, m, queue, 'discarded', WEEK, 'operator')
return done({ 'done', 'discarded' })
