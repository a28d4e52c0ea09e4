-- Behind the prelude, for verbs that must know where a live job stands.

-- The token under which a job is leased, or nil. Live batches are few.
local function holder(id)
  for _, token in ipairs(call('ZRANGE', lease, 0, -1)) do
    if call('LPOS', P .. 'b:' .. token, id) then
      return token
    end
  end
end

-- The state of a live job, when it is due, and the token that holds it. `held` names the
-- holders where the caller has read them all.
local function stand(id, m, held)
  local at = call('ZSCORE', due, id)
  if at then
    return m.st == 'retryable' and 'retryable' or 'scheduled', at
  elseif m.st == 'parked' or m.st == 'flow' then
    return 'blocked'
  end
  local token
  if held then
    token = held[id]
  else
    token = holder(id)
  end
  return token and 'leased' or 'available', nil, token
end
