-- Takes a flow in: its nodes are blocked, and nobody sees them before the step that commits.
-- ARGV: time, step (1, 2, ...), flow, its name, keep, commit (0 or 1), how many nodes, edges and
--   given, a kind of settings and its version that must hold ('' none), then
--   id record QUEUE memo about           a node; about: e n or g, then JSON
--   TO FROM LETTER in one                an edge; those of one TO together
--   id about outcome                     a node of another flow whose result is given
-- Returns ok, gone (no such draft), or no (the settings have changed).
-- Invariant: a step counts once, by its number, however often it is repeated. No write comes
-- before the first HSET, so that a full Redis refuses the whole.
touch('HLEN', jobs, meta, n, ghost, gn)
touch('SCARD', queues)
touch('ZCARD', flows, flook, due, terms)
touch('LLEN', todo)
local step, root, at = tonumber(ARGV[2]), ARGV[3], 11
local w = P .. 'fw:' .. root
local state, taken = unpack(call('HMGET', w, 'state', 'step'))
if taken and tonumber(taken) >= step then
  return { 'ok' }
elseif tonumber(taken or 0) ~= step - 1 or state and state ~= 'draft' then
  return { 'gone' }
elseif ARGV[10] ~= '' and (call('HGET', slast, ARGV[10]) or '0') ~= ARGV[11] then
  return { 'no' }
end
local nodes, edges, given = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
if step == 1 then
  call('HSET', w, 'state', 'draft', 'name', ARGV[4], 'keep', ARGV[5], 'created', text(now))
  call('ZADD', flows, now, root)
end
call('HSET', w, 'step', step)
call('ZADD', flook, now + (ARGV[6] == '1' and 60000 or HOUR), root)

local ids, records, memos, about, per = {}, {}, {}, {}, {}
for i = 1, nodes do
  local id = ARGV[at + 1]
  ids[i], records[2 * i - 1], records[2 * i] = id, id, ARGV[at + 2]
  memos[2 * i - 1], memos[2 * i], about[2 * i - 1], about[2 * i] = id, ARGV[at + 4], id, ARGV[at + 5]
  per[ARGV[at + 3]] = (per[ARGV[at + 3]] or 0) + 1
  at = at + 5
end
if nodes > 0 then
  call('HSET', jobs, unpack(records))
  call('HSET', meta, unpack(memos))
  call('HSET', P .. 'fg:' .. root, unpack(about))
  call('RPUSH', P .. 'fn:' .. root, unpack(ids))
  call('SADD', P .. 'fo:' .. root, unpack(ids))
  for i, id in ipairs(ids) do
    local h = header(records[2 * i])
    if h.g or h.d then
      index(id, h)
    end
  end
end
for queue, size in pairs(per) do
  call('HINCRBY', w, 'n:' .. queue, size)
end
for i = 1, given do
  local id, from = ARGV[at + edges + 3 * i - 2], at + edges + 3 * i - 1
  call('HSET', P .. 'fg:' .. root, id, ARGV[from])
  call('HSET', P .. 'fr:' .. root, id, ARGV[from + 1])
  call('RPUSH', P .. 'fn:' .. root, id)
end
for i = 1, edges do
  local to, from = string.sub(ARGV[at + i], 1, 16), string.sub(ARGV[at + i], 17)
  call('RPUSH', P .. 'fp:' .. to, from)
  if given == 0 and step == 1 or call('HEXISTS', P .. 'fr:' .. root, string.sub(from, 1, 16)) == 0 then
    call('SADD', P .. 'fd:' .. to, from)
    call('RPUSH', P .. 'ft:' .. string.sub(from, 1, 16), to .. string.sub(from, 17))
  end
end
if ARGV[6] == '1' then
  commit(root, w)
end
return done({ 'ok' })
