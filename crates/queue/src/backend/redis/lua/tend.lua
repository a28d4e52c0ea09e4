-- Behind release and pull, for promote: what takes a flow more than one step.

-- Ends or calls off one node of a cancelled flow.
local function call_off(id, held)
  local rec, m = call('HGET', jobs, id), memo(id)
  if not rec then
    return
  end
  local h = header(rec)
  local queue, prio = place(m, h)
  local state = stand(id, m, held)
  if state == 'leased' then
    m.x = true
    remember(id, m)
    return call('SADD', cancels, id)
  end
  pull(id, state, m, h, queue, prio)
  finish(id, rec, m, queue, 'cancelled', HOUR, 'flow cancelled')
end

-- The rest of a flow, once it is cancelled.
work.c = function(root, _, _, from)
  local size, held = math.ceil(credit / 2), {}
  local ids = call('LRANGE', P .. 'fn:' .. root, from, from + size - 1)
  for _, token in ipairs(call('ZRANGE', lease, 0, -1)) do
    for _, id in ipairs(call('LRANGE', P .. 'b:' .. token, 0, -1)) do
      held[id] = token
    end
  end
  for _, id in ipairs(ids) do
    call_off(id, held)
  end
  credit = credit - 2 * #ids
  return #ids == size and from + size or nil
end

-- A flow that was kept long enough, or a draft that nobody has committed, goes.
work.p = function(root, _, _, from)
  local size = math.ceil(credit / 2)
  local ids = call('LRANGE', P .. 'fn:' .. root, from, from + size - 1)
  local draft = call('HGET', P .. 'fw:' .. root, 'state') == 'dropped'
  for _, id in ipairs(ids) do
    local rec, m = call('HGET', jobs, id), memo(id)
    if rec and m.st == 'flow' and draft then
      call('HDEL', jobs, id)
      call('HDEL', meta, id)
      unindex({ id })
    elseif rec and m.st == 'flow' then
      bury(id, rec, m, place(m, header(rec)), 'discarded', 'lost')
    end
    call('UNLINK', P .. 'fd:' .. id, P .. 'ft:' .. id, P .. 'fp:' .. id)
  end
  credit = credit - 2 * #ids
  if #ids == size then
    return from + size
  end
  for _, key in ipairs({ 'fw:', 'fn:', 'fg:', 'fo:', 'fr:', 'fx:' }) do
    call('UNLINK', P .. key .. root)
  end
  call('ZREM', flows, root)
  call('ZREM', flook, root)
end

-- Takes up what other scripts have left, a flow after the other.
local function tend()
  local entry = credit > 0 and call('LPOP', todo)
  while entry do
    local go = work[string.sub(entry, 1, 1)]
    local root, id = string.sub(entry, 2, 17), string.sub(entry, 18, 33)
    local letter, from = string.sub(entry, 34, 34), tonumber(string.sub(entry, 35)) or 0
    from = go and go(root, id, letter, from)
    if from then
      call('RPUSH', todo, string.sub(entry, 1, 34) .. text(from))
    end
    entry = credit > 0 and call('LPOP', todo)
  end
end
