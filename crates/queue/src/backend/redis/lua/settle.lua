-- Ends leases: leased -> succeeded, retryable, scheduled, discarded, cancelled, available, blocked.
-- ARGV: time, plain (1 when no i follows), then
--   s TOKEN KEEP N RESULTS IDS [result*N]     successes without keys, their ids in one string;
--     RESULTS 0 or 1; u as s, of jobs that may have keys: each is as an i
--   i TOKEN id OUTCOME MS TEXT REASON         one job; MS keep or wait; TEXT result, or error
--     behind its fingerprint (12 characters); of a crash, REASON is how many there may be
-- Returns ok and one letter a job, in order: d done, s stale.
-- Invariant: a job moves only if it was in the list of the batch whose token is given, and
-- leaves that list in the same step; what left a batch is remembered for a while after its end.
call('ZREM', lease, '')
touch('HLEN', jobs, fin, n, batch)
touch('ZCARD', fls)
if ARGV[2] == '0' or call('HLEN', meta) + call('HLEN', prog) + call('ZCARD', watch) > 0 then
  touch('HLEN', meta, prog, steps, uniq, parked, ghost, gn)
  touch('GET', ord)
  touch('SCARD', cancels, queues)
  touch('ZCARD', due, watch, locks, terms)
end
limited = call('EXISTS', permit, full) > 0 and touch('HLEN', permit, full, inuse, gov, lim) == nil
meet_batches()
local answers, i = {}, 3
while i <= #ARGV do
  local token = ARGV[i + 1]
  local queue = home(token)
  if ARGV[i] == 's' then
    local keep, size, ids, good = tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), {}, {}
    local asked = {}
    for k = 1, size do
      asked[k] = string.sub(ARGV[i + 5], 16 * k - 15, 16 * k)
    end
    local results = ARGV[i + 4] == '1' and { unpack(ARGV, i + 6, i + 5 + size) }
    local was = queue and out(token, asked) or {}
    if was == true then
      ids = asked
      answers[#answers + 1] = string.rep('d', size)
    else
      local all = results
      results = all and {}
      for k, id in ipairs(asked) do
        if was[id] and not good[id] then
          good[id] = true
          ids[#ids + 1] = id
          if all then
            results[#ids] = all[k]
          end
        end
        answers[#answers + 1] = good[id] and 'd' or gone(token, id, 'succeeded')
      end
    end
    if #ids > 0 then
      call('APPEND', P .. 'o:' .. token, table.concat(ids))
      if keyed[token] then
        free_permits(ids)
      end
      succeed(queue, keep, ids, results)
    end
    i = i + 6 + (ARGV[i + 4] == '1' and size or 0)
  else
    local id, outcome = string.sub(ARGV[i + 2], 1, 16), ARGV[i + 3]
    local rec = queue and call('HGET', jobs, id)
    local was = queue and call('LREM', P .. 'b:' .. token, 1, ARGV[i + 2]) == 1
    if was and keyed[token] then
      free_permits({ id })
    end
    if was and not rec then
      -- Its record is gone; its place goes as well, and nothing else follows.
      count(queue, 'leased', -1)
      answers[#answers + 1] = 's'
    elseif was then
      settle(queue, token, id, rec, outcome, tonumber(ARGV[i + 4]), ARGV[i + 5], ARGV[i + 6])
      answers[#answers + 1] = 'd'
    else
      answers[#answers + 1] = gone(token, id, outcome)
    end
    i = i + 7
  end
end
close_batches()
return done({ 'ok', table.concat(answers) })
