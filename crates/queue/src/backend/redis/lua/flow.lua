-- Behind finish: flows. Keys of a flow ROOT, by its 16 bytes:
--   fw:ROOT hash: state (draft dropped running succeeded failed cancelled), name, created,
--     finished, keep, bad (a failure that no edge took up), n:QUEUE nodes of a draft
--   fn:ROOT list of node ids, fg:ROOT hash id -> e entry, n other, g given; then JSON
--   fo:ROOT set of nodes that have not ended, fx:ROOT set of those that failed
--   fr:ROOT hash id -> s d c (or n: not needed), its instant, newline, result or reason
-- and of a node ID: fd:ID set of what it waits for, each id with the letter of its edge
--   (f fail, i ignore, c continue, x cancel the rest, r rescue); fp:ID list of all of them;
--   ft:ID list of what waits for it, id and letter.
-- Work that is too much for one step waits in the list todo: an operation, the flow, a node,
-- its outcome, and how far it is. Completion is a set that is empty, never a number.
local ahead, credit = {}, 200

local function later(what, root, id, letter, from)
  ahead[#ahead + 1] = { what, root, id or root, letter or '-', from or 0 }
end

-- No node is left: the flow has ended.
local function over(root, w)
  local state, keep, bad = unpack(call('HMGET', w, 'state', 'keep', 'bad'))
  state = state == 'running' and (bad and 'failed' or 'succeeded') or state
  keep = state == 'failed' and math.max(keep or 0, WEEK) or keep or 0
  call('HSET', w, 'state', state, 'finished', text(now))
  call('ZADD', flook, now + keep, root)
end

follow = function(id, root, state, said, m)
  local w, letter = P .. 'fw:' .. root, string.sub(state, 1, 1)
  local errors, reason = m and m.e or {}, said or ''
  if not call('HGET', w, 'state') or call('HEXISTS', P .. 'fr:' .. root, id) == 1 then
    return
  elseif reason == 'not needed' then
    letter = 'n'
  elseif letter ~= 's' then
    call('SADD', P .. 'fx:' .. root, id)
    reason = reason .. (#errors > 0 and ': ' .. errors[#errors].error or '')
  end
  call('HSET', P .. 'fr:' .. root, id, letter .. text(now) .. '\n' .. reason)
  call('UNLINK', P .. 'fd:' .. id)
  if call('LLEN', P .. 'ft:' .. id) > 0 then
    later('e', root, id, letter)
  elseif letter == 'd' or letter == 'c' then
    call('HSET', w, 'bad', 1)
  end
  if call('SREM', P .. 'fo:' .. root, id) == 1 and call('SCARD', P .. 'fo:' .. root) == 0 then
    over(root, w)
  end
end

-- A blocked node's turn has come.
local function arrive(id, m, queue, prio)
  local at = m.at or m.wait and now + m.wait or 0
  m.st, m.at, m.wait = nil, nil, nil
  call('UNLINK', P .. 'fd:' .. id)
  count(queue, 'blocked', -1)
  if at > now then
    call('ZADD', due, at, id)
    count(queue, 'scheduled', 1)
  else
    push('RPUSH', id, m, queue, prio, header(call('HGET', jobs, id) or ''))
  end
  remember(id, m)
end

-- A blocked node ends without having run.
local function bury(id, rec, m, queue, state, why)
  count(queue, 'blocked', -1)
  finish(id, rec, m, queue, state, state == 'discarded' and WEEK or HOUR, why)
end
