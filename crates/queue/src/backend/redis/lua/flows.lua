-- Reads flows. Behind find. ARGV: time, what, then
--   list MOST             the newest flows
--   nodes ROOT FROM MOST  a flow and a slice of its nodes
--   inputs ROOT NODE FROM MOST   what a node depends on, in order, with the results
-- Returns ok, heads, how many nodes or inputs there are, nodes. A head: id, name, state, created,
-- finished, nodes, left, failed. A node: id, about, state (only where it has not ended),
-- outcome, letter of its edge, how many inputs, the first 100 of them.
local what, root = ARGV[2], ARGV[3]

local function head(id)
  local w = call('HMGET', P .. 'fw:' .. id, 'state', 'name', 'created', 'finished')
  if w[1] and w[1] ~= 'draft' and w[1] ~= 'dropped' then
    return { id, w[2] or '', w[1], w[3] or '0', w[4] or '', call('LLEN', P .. 'fn:' .. id),
      call('SCARD', P .. 'fo:' .. id), call('SCARD', P .. 'fx:' .. id) }
  end
end

if what == 'list' then
  local all = {}
  for _, id in ipairs(call('ZREVRANGE', flows, 0, ARGV[3] - 1)) do
    all[#all + 1] = head(id)
  end
  return { 'ok', all, 0, {} }
end
local all, heads = {}, { head(root) }
if what == 'nodes' and heads[1] then
  local held = {}
  for _, token in ipairs(call('ZRANGE', lease, 0, -1)) do
    for _, id in ipairs(call('LRANGE', P .. 'b:' .. token, 0, -1)) do
      held[id] = token
    end
  end
  for i, id in ipairs(call('LRANGE', P .. 'fn:' .. root, ARGV[4], ARGV[4] + ARGV[5] - 1)) do
    local outcome, rec = call('HGET', P .. 'fr:' .. root, id) or '', call('HGET', jobs, id)
    if string.byte(outcome) == 115 then
      outcome = string.match(outcome, '^[^\n]*\n')
    end
    all[i] = { id, call('HGET', P .. 'fg:' .. root, id) or '', rec and (stand(id, memo(id), held)) or '',
      outcome, '', call('LLEN', P .. 'fp:' .. id), call('LRANGE', P .. 'fp:' .. id, 0, 99) }
  end
  return { 'ok', heads, call('LLEN', P .. 'fn:' .. root), all }
elseif what == 'inputs' then
  local key, size = P .. 'fp:' .. ARGV[4], 0
  for i, entry in ipairs(call('LRANGE', key, ARGV[5], ARGV[5] + ARGV[6] - 1)) do
    local id = string.sub(entry, 1, 16)
    local outcome = call('HGET', P .. 'fr:' .. root, id) or ''
    size = size + #outcome
    if i > 1 and size > 4194304 then
      break -- the rest with the next page
    end
    all[i] = { id, call('HGET', P .. 'fg:' .. root, id) or '', '', outcome, string.sub(entry, 17), 0, {} }
  end
  return { 'ok', heads, call('LLEN', key), all }
end
return { 'ok', heads, 0, {} }
