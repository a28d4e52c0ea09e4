-- Stores a schedule; what is known of its last slot stays. ARGV: time, name, description, LAST:FIRED.
-- Returns ok and LAST:FIRED as it stands.
call('ZREM', lease, '')
touch('HLEN', sched, slast)
-- A schedule that nobody has seen yet begins now.
local begins = string.gsub(ARGV[4], '^0:', text(now) .. ':')
call('HSETNX', slast, ARGV[2], begins)
call('HSET', sched, ARGV[2], ARGV[3])
return { 'ok', call('HGET', slast, ARGV[2]) }
