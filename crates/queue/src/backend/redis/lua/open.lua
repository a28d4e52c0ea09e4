-- Behind the moves, for lease: batches, and what may go into one.

local metas, ghosts = call('HLEN', meta) > 0, call('HLEN', ghost) > 0
local worker, ttl, alone = ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
local top, out, byte = tonumber(call('GET', last) or 0), {}, string.byte

-- Makes a batch of jobs that have left their list.
local function open(queue, single, ids, recs, notes)
  top = math.max(top + 1, micros)
  local token, all = text(top), table.concat(ids)
  call('RPUSH', P .. 'b:' .. token, unpack(ids))
  call('SET', P .. 'o:' .. token, all)
  call('ZADD', lease, now + ttl, token)
  call('HSET', batch, token, (single and '1' or '0') .. queue .. ' ' .. worker)
  count(queue, 'leased', #ids)
  out[#out + 1] = { token, queue, all, recs, notes }
end
