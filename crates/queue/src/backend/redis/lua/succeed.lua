-- Behind the moves, for settle: the fast way out.

-- Keeps finished jobs, their records where they are; see job.lua.
local function keep_here(queue, keep, ids, results)
  local heads = {}
  local head = '+' .. text(now) .. ' ' .. text(keep) .. ' ' .. queue .. '\n'
  for i, id in ipairs(ids) do
    heads[2 * i - 1], heads[2 * i] = id, head .. (results[i] or '')
  end
  call('HSET', fin, unpack(heads))
  keep_all(queue, 'succeeded', keep, ids)
end

-- Many successes at once; those with a memo, progress or a waiter one by one.
local function succeed(queue, keep, ids, results)
  local m = call('HLEN', meta) > 0 and call('HMGET', meta, unpack(ids))
  local p = call('HLEN', prog) > 0 and call('HMGET', prog, unpack(ids))
  local w = call('ZCARD', watch) > 0 and call('ZMSCORE', watch, unpack(ids))
  local recs, plain, said = (m or p or w) and call('HMGET', jobs, unpack(ids)), ids, results or {}
  count(queue, 'leased', -#ids)
  count(queue, 'processed', #ids)
  if recs then
    plain, said = {}, {}
  end
  for i, id in ipairs(recs and ids or {}) do
    if recs[i] and ((m and m[i]) or (p and p[i]) or (w and w[i])) then
      local known = memo(id)
      known.a = (known.a or 0) + 1
      finish(id, recs[i], known, queue, 'succeeded', keep, nil, results and results[i] or nil)
    else
      plain[#plain + 1], said[#plain + 1] = id, results and results[i] or nil
    end
  end
  if #plain > 0 and keep > 0 then
    keep_here(queue, keep, plain, said)
  elseif #plain > 0 then
    call('HDEL', jobs, unpack(plain))
    unindex(plain)
  end
end
