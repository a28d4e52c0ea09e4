-- Behind settle_brief: a look at everything, before anything is changed.
while i <= #ARGV do
  local token, keep, size = ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local flag, queue = string.match(call('HGET', batch, token) or '', '^(%d)(%S+)')
  local key, all = P .. 'b:' .. token, P .. 'o:' .. token
  -- As in fence.lua: mostly the batch's next ones. As arguments each would be made once more.
  local ids = call('LRANGE', key, 0, size)
  local more, rest = table.remove(ids, size + 1), nil
  call('STRLEN', all)
  if table.concat(ids) ~= ARGV[i + 5] then
    ids, rest = among(call('LRANGE', key, 0, -1), ARGV[i + 5], size)
  end
  if seen[token] or not queue or flag > '1' or not call('ZSCORE', lease, token) or not ids
    or limited and (call('HLEN', full) > 0 or call('HEXISTS', lim, queue) == 1)
    or metas and any(call('HMGET', meta, unpack(ids))) or progs and any(call('HMGET', prog, unpack(ids)))
    or waits and any(call('ZMSCORE', watch, unpack(ids))) or indexed and any(call('HMGET', idx, unpack(ids))) then
    return SLOW
  end
  seen[token], letters[#letters + 1] = true, string.rep('d', size)
  local plan = { key = key, all = all, token = token, queue = queue, ids = ids }
  plan.keys = ARGV[i] == 's' and {} or keys_of(ids)
  plan.said, plan.keep, plan.size, plan.more, plan.rest = ARGV[i + 5], keep, size, more, rest
  if not plan.keys then
    return SLOW
  elseif keep > 0 then
    call('HLEN', fin)
    call('ZCARD', fls)
    plan.list = P .. 'fl:' .. queue .. ':succeeded:' .. text(keep)
    call('LLEN', plan.list)
    -- Those that go because they are too many may be in the index. No call has more than 1,000.
    if indexed and (call('HGET', n, queue .. '\0succeeded') or 0) + 1000 > MOST_KEPT then
      return SLOW
    end
    plan.results = ARGV[i + 4] == '1' and i + 5
  end
  plans[#plans + 1] = plan
  i = i + 6 + size * ARGV[i + 4]
end
