-- Behind tend, for promote: a flow that does not go on is mended from what is recorded of its
-- nodes. While a set is being filled it holds a dot, so that nobody takes it for empty.

-- Whether something that this node waits for has ended, by a few of them.
local function doubtful(root, id)
  local some = call('SRANDMEMBER', P .. 'fd:' .. id, 3)
  for _, member in ipairs(some) do
    local from = string.sub(member, 1, 16)
    if call('HEXISTS', jobs, from) == 0 then
      return true
    end
  end
  return #some == 0
end

-- A slice of a flow; letter m: everything that waits is derived again.
work.s = function(root, _, letter, from)
  local size, open, w = math.ceil(credit / 2), P .. 'fo:' .. root, P .. 'fw:' .. root
  local ids = call('LRANGE', P .. 'fn:' .. root, from, from + size - 1)
  local state, finished = unpack(call('HMGET', w, 'state', 'finished'))
  if finished or state ~= 'running' and state ~= 'cancelled' then
    return nil
  end
  call('SADD', open, '.')
  for _, id in ipairs(ids) do
    local rec, m = call('HGET', jobs, id), memo(id)
    if call('HEXISTS', P .. 'fr:' .. root, id) == 1 then
      call('SREM', open, id)
    else
      call('SADD', open, id)
      if not rec then
        follow(id, root, 'discarded', 'lost')
      elseif m.st == 'flow' and string.byte(call('HGET', P .. 'fg:' .. root, id) or '') == 101 then
        arrive(id, m, place(m, header(rec)))
      elseif m.st == 'flow' and (letter == 'm' or doubtful(root, id)) then
        later('m', root, id)
      end
    end
  end
  credit = credit - 2 * #ids
  if #ids == size then
    return from + size
  end
  if call('SREM', open, '.') == 1 and call('SCARD', open) == 0 then
    over(root, w)
  elseif state == 'cancelled' then
    later('c', root)
  end
end

-- One node that waits: its set is filled again, and what has ended is told again.
work.m = function(root, id, _, from)
  local size, waits, all = credit, P .. 'fd:' .. id, P .. 'fp:' .. id
  local before, first = call('LRANGE', all, from, from + size - 1), call('LINDEX', all, 0)
  local rec, m = call('HGET', jobs, id), memo(id)
  if not rec or m.st ~= 'flow' or call('HGET', P .. 'fw:' .. root, 'state') ~= 'running' then
    return nil
  elseif not first then
    return bury(id, rec, m, place(m, header(rec)), 'discarded', 'lost')
  end
  local kind = string.sub(first, 17) == 'r' and 'r' or 'f'
  call('SADD', waits, '.' .. kind)
  for _, entry in ipairs(before) do
    local dep, policy = string.sub(entry, 1, 16), string.sub(entry, 17)
    if call('HEXISTS', jobs, dep) == 0 then
      follow(dep, root, 'discarded', 'lost')
    end
    local outcome = call('HGET', P .. 'fr:' .. root, dep)
    call('SADD', waits, entry)
    if outcome then
      edge(root, dep, id, policy, string.sub(outcome, 1, 1))
    end
    if call('EXISTS', waits) == 0 then
      return nil
    end
  end
  credit = credit - #before
  return #before == size and from + size or edge(root, '.', id, kind, 's')
end
