-- Behind fence, for settle: the batches of a call, before and after its jobs.

-- Meets what is known of every batch of the call, before anything is written.
local function meet_batches()
  local i = 3
  while i <= #ARGV do
    local token = ARGV[i + 1]
    if homes[token] == nil and home(token) then
      touch('STRLEN', P .. 'o:' .. token)
    end
    i = i + (ARGV[i] == 's' and 6 + ARGV[i + 3] * ARGV[i + 4] or 7)
  end
end

-- Ends the leases of which nothing is left.
local function close_batches()
  for token, queue in pairs(homes) do
    if limited and queue then
      free_queue(queue)
    end
    if queue and call('EXISTS', P .. 'b:' .. token) == 0 then
      call('ZREM', lease, token)
      call('HDEL', batch, token)
      call('PEXPIRE', P .. 'o:' .. token, REMEMBERED)
      call('PEXPIRE', P .. 'x:' .. token, REMEMBERED)
    end
  end
end
