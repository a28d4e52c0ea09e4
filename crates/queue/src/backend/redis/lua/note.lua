-- Stores a leased job's progress. ARGV: time, token, id, progress. Returns ok or stale.
call('ZREM', lease, '')
touch('HLEN', prog)
if not call('ZSCORE', lease, ARGV[2]) or not call('LPOS', P .. 'b:' .. ARGV[2], ARGV[3]) then
  return { 'stale' }
end
call('HSET', prog, ARGV[3], ARGV[4])
return { 'ok' }
