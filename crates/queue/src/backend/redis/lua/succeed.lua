-- Behind the moves, for settle: the fast way out.

-- Many successes at once; those with a memo, progress or a waiter one by one.
local function succeed(queue, keep, ids, results)
  local size, at = #ids, text(now)
  local m = call('HLEN', meta) > 0 and call('HMGET', meta, unpack(ids))
  local p = call('HLEN', prog) > 0 and call('HMGET', prog, unpack(ids))
  local w = call('ZCARD', watch) > 0 and call('ZMSCORE', watch, unpack(ids))
  local recs = (keep > 0 or m or p or w) and call('HMGET', jobs, unpack(ids))
  count(queue, 'leased', -size)
  count(queue, 'processed', size)
  if not recs then
    call('HDEL', jobs, unpack(ids))
    return unindex(ids)
  end
  local plain, records, entries = {}, {}, {}
  local head = '{"s":"succeeded","at":' .. at .. ',"q":"' .. queue .. '","k":' .. text(keep) .. ',"a":1'
  for i, id in ipairs(ids) do
    local rec = recs[i]
    if rec and ((m and m[i]) or (p and p[i]) or (w and w[i])) then
      local known = memo(id)
      known.a = (known.a or 0) + 1
      finish(id, rec, known, queue, 'succeeded', keep, nil, results and results[i] or nil)
    else
      plain[#plain + 1] = id
      if keep > 0 and rec then
        local result = results and ',"res":' .. cjson.encode(results[i]) or ''
        records[#records + 1], records[#records + 2] = id, head .. result .. '}\n' .. rec
        entries[#entries + 1] = id .. at
      end
    end
  end
  if #plain > 0 then
    call('HDEL', jobs, unpack(plain))
    if keep == 0 then
      unindex(plain)
    end
  end
  if #entries > 0 then
    call('HSET', fin, unpack(records))
    keep_all(queue, 'succeeded', keep, entries)
  end
end
