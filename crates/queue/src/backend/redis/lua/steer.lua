-- Behind release, for control: what is done to a whole flow.

-- Whether a finished job belongs to a flow that is still known: it is not put back, because
-- what followed from its end has happened. A flow is replayed instead.
local function of_flow(id, kept)
  local _, record = finished(id, kept)
  local h = header(record)
  return type(h.f) == 'string' and call('EXISTS', P .. 'fw:' .. flow_of(h)) == 1
end

local function steer_flow(root, action, state, finished)
  if finished then
    return { 'refused', state == 'failed' and 'discarded' or state }
  elseif action == 'mend' then
    later('s', root, nil, 'm')
    return done({ 'requested' })
  elseif action ~= 'cancel' then
    return { 'refused', 'leased' }
  end
  call('HSET', P .. 'fw:' .. root, 'state', 'cancelled')
  later('c', root)
  return done({ 'done', 'cancelled' })
end
