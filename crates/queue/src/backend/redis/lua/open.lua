-- Behind the moves, for lease: batches, and what may go into one.

local watched = call('EXISTS', gov, lim) > 0
local metas, ghosts = call('HLEN', meta) > 0, call('HLEN', ghost) > 0
local worker, ttl, alone = ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
local top, out, next_ms = tonumber(call('GET', last) or 0), {}, nil
-- Jobs of the governed lane that this call has picked: their limit keys and costs.
local key_of, cost_of = {}, {}

-- When to ask again at the latest.
local function soonest(ms)
  next_ms = ms and math.min(ms, next_ms or ms) or next_ms
end

-- Sets many fields of a hash. While it holds few and short ones Redis keeps it as a list,
-- which it searches from the beginning for every field; a long value makes it a table, and it
-- stays one as long as it holds anything.
local function set_many(key, all)
  call('HSET', key, '', string.rep(' ', 65))
  call('HSET', key, unpack(all))
  call('HDEL', key, '')
end

-- Makes a batch of jobs that have left their list. Where not every record is known none is
-- told, and whoever asked reads them: nobody but the holder of the lease ends these jobs.
local function open(queue, single, ids, recs, notes, keyed)
  top = math.max(top + 1, micros)
  local token = text(top)
  call('RPUSH', P .. 'b:' .. token, unpack(ids))
  call('ZADD', lease, now + ttl, token)
  local flag = (single and 1 or 0) + (keyed and 2 or 0)
  call('HSET', batch, token, text(flag) .. queue .. ' ' .. worker)
  count(queue, 'leased', #ids)
  if keyed then
    local permits, of = {}, string.rep('0', 16 - #token) .. token
    for i, id in ipairs(ids) do
      permits[2 * i - 1], permits[2 * i] = id, of .. key_of[id]
    end
    set_many(permit, permits)
  end
  out[#out + 1] = { token, queue, table.concat(ids), #recs == #ids and recs or {}, notes }
end
