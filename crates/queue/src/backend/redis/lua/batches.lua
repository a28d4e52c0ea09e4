-- Behind fence, for settle: the batches of a call, before and after its jobs.

-- Successes of jobs that may have keys, one by one.
local function spelled(all)
  local args, i, said = { all[1], '0' }, 3, 3
  while i <= #all do
    local ones, results = all[i] == 'u' and all[i + 3] or 0, all[i + 4] == '1'
    local stop = all[i] == 'i' and i + 6 or i + 5 + all[i + 3] * (results and 1 or 0)
    for k = 1, ones do
      local id = string.sub(all[i + 5], 16 * k - 15, 16 * k)
      for at, arg in ipairs({ 'i', all[i + 1], id, 'succeeded', all[i + 2], results and all[i + 5 + k] or '', '' }) do
        args[said + at - 1] = arg
      end
      said = said + 7
    end
    for at = i, all[i] == 'u' and 0 or stop do
      args[said], said = all[at], said + 1
    end
    i = stop + 1
  end
  return args
end

local ARGV = ARGV[2] == '1' and ARGV or spelled(ARGV)

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
