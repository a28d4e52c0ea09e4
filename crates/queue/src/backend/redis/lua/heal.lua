-- Behind spend, for reap: what is counted of limits, inuse against the leases that live; a
-- slice each time, so that no sweep takes long.

-- The next slice of a hash.
local function slice(name, key)
  local step = call('HSCAN', key, call('HGET', mended, name) or 0, 'COUNT', 50)
  call('HSET', mended, name, step[1])
  return step[2]
end

-- Permits whose job is not leased any more are free.
local function heal_held()
  local all = slice('inuse', inuse)
  for i = 1, #all, 2 do
    local ids, dead = all[i + 1], {}
    -- Of very many, some: the others come another time.
    local from = #ids > 3200 and micros % math.floor(#ids / 16 - 200) * 16 + 1 or 1
    for at = from, math.min(#ids, from + 3199), 16 do
      local id = string.sub(ids, at, at + 15)
      local of = call('HGET', permit, id) or ''
      local token = string.gsub(string.sub(of, 1, 16), '^0+', '')
      if string.sub(of, 17) ~= all[i] or not call('LPOS', P .. 'b:' .. token, id) then
        dead[id] = true
      end
    end
    if next(dead) then
      local rest = without(ids, dead)
      if rest == '' then
        call('HDEL', inuse, all[i])
      else
        call('HSET', inuse, all[i], rest)
      end
      wake_full({ all[i] })
    end
  end
end

-- Jobs that are leased hold their permits.
local function heal_leases()
  local from = tonumber(call('HGET', mended, 'lease') or 0)
  local tokens = call('ZRANGE', lease, from, from + 19)
  call('HSET', mended, 'lease', #tokens == 20 and from + 20 or 0)
  for _, token in ipairs(tokens) do
    local keyed = string.match(call('HGET', batch, token) or '', '^[23]')
    for _, id in ipairs(keyed and call('LRANGE', P .. 'b:' .. token, 0, 499) or {}) do
      local key = governed(memo(id), header(call('HGET', jobs, id) or ''))
      local ids = key and call('HGET', inuse, key) or ''
      if key and #without(ids, { [id] = true }) == #ids then
        call('HSET', inuse, key, ids .. id)
      end
      if key and call('HEXISTS', permit, id) == 0 then
        call('HSET', permit, id, string.rep('0', 16 - #token) .. token .. key)
      end
    end
  end
end
