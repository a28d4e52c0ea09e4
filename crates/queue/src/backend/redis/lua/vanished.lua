-- Keys that are gone although others say that they hold something: evicted, or deleted by
-- another program. ARGV: time. Reads only. Returns ok, then their names.
local gone, sums, waiting = { 'ok' }, {}, false
local counters = call('HGETALL', n)
for i = 1, #counters, 2 do
  local state = string.match(counters[i], '%z(.*)$') or ''
  sums[state] = (sums[state] or 0) + tonumber(counters[i + 1])
end
for _, queue in ipairs(call('SMEMBERS', queues)) do
  for prio = 0, 9 do
    local name = queue .. ':' .. prio
    waiting = waiting or call('LLEN', P .. 'q:' .. name) > tonumber(call('HGET', gn, name) or 0)
  end
end

local function must(key, holds)
  if holds and call('EXISTS', key) == 0 then
    gone[#gone + 1] = key
  end
end

local function some(...)
  for _, state in ipairs({ ... }) do
    if (sums[state] or 0) > 0 then
      return true
    end
  end
end

local alive = call('EXISTS', jobs) == 1
must(jobs, waiting or some('scheduled', 'retryable', 'leased', 'blocked'))
must(queues, alive)
must(due, some('scheduled', 'retryable'))
must(lease, some('leased'))
must(batch, some('leased'))
must(fin, some('succeeded', 'discarded', 'cancelled'))
must(fls, call('EXISTS', fin) == 1)
must(n, call('EXISTS', lease, due, fin) > 0)
for _, token in ipairs(call('ZRANGE', lease, 0, 99)) do
  must(P .. 'b:' .. token, true)
end
return gone
