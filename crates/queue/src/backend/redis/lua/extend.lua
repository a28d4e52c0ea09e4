-- Renews leases. ARGV: time, ttl, token...
-- Returns ok, one letter a token (h held, l lost), and the leased ids to be cancelled.
-- Invariant: a lease that has ended is never revived.
call('ZREM', lease, '')
touch('SCARD', cancels)
local answers = {}
for i = 3, #ARGV do
  local held = call('ZSCORE', lease, ARGV[i])
  if held then
    call('ZADD', lease, 'XX', now + ARGV[2], ARGV[i])
  end
  answers[#answers + 1] = held and 'h' or 'l'
end
return { 'ok', table.concat(answers), call('SMEMBERS', cancels) }
