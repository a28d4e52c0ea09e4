-- Reads jobs, and with watch keeps the end of each for a minute.
-- ARGV: time, watch (0 or 1), id...
-- Returns ok, then for each id either '' (there is none), or a table: 'fin' and what is kept;
--   (and the record, where it stays in `jobs`); or state, record, memo, due, token, expires, worker, progress, steps, cursor, and the limit
--   key that keeps it waiting with when it may start ('' where there is none; steps and cursor
--   only of one that is asked for alone).
if ARGV[2] == '1' then
  call('ZREM', watch, '')
end
local reply, held = { 'ok' }, nil
if #ARGV > 6 then
  held = {}
  for _, token in ipairs(call('ZRANGE', lease, 0, -1)) do
    for _, id in ipairs(call('LRANGE', P .. 'b:' .. token, 0, -1)) do
      held[id] = token
    end
  end
end
for i = 3, #ARGV do
  local id = ARGV[i]
  local kept, rec = call('HGET', fin, id), call('HGET', jobs, id)
  if kept or not rec then
    reply[#reply + 1] = kept and (rec or string.byte(kept) ~= 43) and { 'fin', kept, rec or '' } or ''
  else
    local m = memo(id)
    local state, at, token = stand(id, m, held)
    local told = #ARGV == 3 and m.o
    local worker = token and string.match(call('HGET', batch, token) or '', ' (.*)$')
    local key = state == 'available' and string.byte(rec) == 42 and governed(m, header(rec))
    local cools = key and call('ZSCORE', P .. 'cool:' .. place(m, header(rec)), key)
    local waits = cools or key and call('HEXISTS', full, key) == 1
    reply[#reply + 1] = m.st == 'flow' and drafted(m, header(rec)) and '' or { state, rec, call('HGET', meta, id) or '', at or '', token or '',
      token and call('ZSCORE', lease, token) or '', worker or '', call('HGET', prog, id) or '',
      told and call('HGET', steps, id) or '', told and call('HGET', steps, id .. 'c') or '',
      waits and key or '', cools or '' }
    if ARGV[2] == '1' then
      call('ZADD', watch, now + 86400000, id)
    end
  end
end
return reply
