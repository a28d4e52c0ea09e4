-- Behind flow: what the end of a node means for those that wait for it, step by step.

-- One edge. Nothing happens where its end is known already, so that it may be told twice.
local function edge(root, from, to, policy, letter)
  local waits = P .. 'fd:' .. to
  if call('SREM', waits, from .. policy) == 0 then
    return
  end
  local last, lost = call('EXISTS', waits) == 0, letter == 'd' or letter == 'c'
  local rec, m = call('HGET', jobs, to), not last and (letter == 's' or policy == 'i') or memo(to)
  if not rec or m == true or m.st ~= 'flow' then
    return
  end
  local queue, prio = place(m, header(rec))
  if lost and (policy == 'f' or policy == 'x') then
    local good, what = pcall(cjson.decode, string.sub(call('HGET', P .. 'fg:' .. root, from) or 'n{}', 2))
    local name = good and (what.label ~= '' and what.label or what.name) or '?'
    call('HSET', P .. 'fw:' .. root, 'bad', 1)
    if policy == 'x' then
      call('HSET', P .. 'fw:' .. root, 'state', 'cancelled')
      later('c', root)
    end
    blame(m, m.a or 0, 'it depends on ' .. tostring(name) .. ', which failed')
    bury(to, rec, m, queue, 'discarded', 'dependency')
  elseif lost and (policy == 'c' or policy == 'r') then
    arrive(to, m, queue, prio)
  elseif letter == 'n' and policy ~= 'i' and policy ~= 'r' or last and policy == 'r' then
    bury(to, rec, m, queue, 'cancelled', 'not needed')
  elseif last then
    arrive(to, m, queue, prio)
  end
end

-- Each returns where to go on, or nil at the end. e: what waits for a node that has ended.
local work = {
  e = function(root, id, letter, from)
    local size = credit
    local some = call('LRANGE', P .. 'ft:' .. id, from, from + size - 1)
    if call('HGET', P .. 'fw:' .. root, 'state') ~= 'running' then
      return nil
    end
    for _, to in ipairs(some) do
      edge(root, id, string.sub(to, 1, 16), string.sub(to, 17), letter)
    end
    credit = credit - #some
    return #some == size and from + size or nil
  end,
  -- The beginning of a flow: the nodes that wait for nothing.
  b = function(root, _, _, from)
    local size = credit
    local ids = call('LRANGE', P .. 'fn:' .. root, from, from + size - 1)
    if #ids == 0 or call('HGET', P .. 'fw:' .. root, 'state') ~= 'running' then
      return nil
    end
    for i, g in ipairs(call('HMGET', P .. 'fg:' .. root, unpack(ids))) do
      local rec, m = call('HGET', jobs, ids[i]), memo(ids[i])
      if g and string.byte(g) == 101 and rec and m.st == 'flow' then
        arrive(ids[i], m, place(m, header(rec)))
      end
    end
    credit = credit - #ids
    return #ids == size and from + size or nil
  end,
}

-- Every script ends here: a few steps are taken at once, the others are left to promote.
local reply_with = done
done = function(reply)
  for _, step in ipairs(ahead) do
    local what, root, id, letter, from = unpack(step)
    if work[what] and credit > 0 then
      from = work[what](root, id, letter, from)
    end
    if from then
      call('RPUSH', todo, what .. root .. id .. letter .. text(from))
    end
  end
  return reply_with(reply)
end
