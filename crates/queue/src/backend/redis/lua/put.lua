-- Stores or drops a setting. ARGV: time, kind, name, value ('' drops it).
-- Returns ok, value and LAST:FIRED of the setting as it stands, or of the one that went; ok
-- alone where there was none to drop.
-- Invariant: the version of a kind grows with every change, and only then.
call('ZREM', lease, '')
local kind, name, value = ARGV[2], ARGV[3], ARGV[4]
local key, slot = P .. 'set:' .. kind, kind .. '\0' .. name
touch('HLEN', slast, key, lim, full, P .. 'set:limit')
touch('SCARD', queues)
local old = call('HGET', key, name)
if not old and value == '' then
  return { 'ok' }
end
if old ~= value then
  call('HINCRBY', slast, kind, 1)
end
-- A setting that nobody has seen yet begins now.
call('HSETNX', slast, slot, text(now) .. ':0')
local mark = call('HGET', slast, slot)
if value == '' then
  call('HDEL', key, name)
  call('HDEL', slast, slot)
  changed(kind, name, value)
  return { 'ok', old, mark }
end
call('HSET', key, name, value)
changed(kind, name, value)
return { 'ok', value, mark }
