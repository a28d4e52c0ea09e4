-- Stores a schedule; what is known of its last slot stays. ARGV: time, name, description, LAST:FIRED.
-- Returns ok and LAST:FIRED as it stands.
call('ZREM', lease, '')
touch('HLEN', sched, slast)
call('HSETNX', slast, ARGV[2], ARGV[4])
call('HSET', sched, ARGV[2], ARGV[3])
return { 'ok', call('HGET', slast, ARGV[2]) }
