-- Behind open, for lease: what may go into a batch.

-- So few records travel in the answer itself; more are read natively behind it, because
-- every byte that passes through a script is paid for twice.
local FEW = 16

-- One job off the fast path: true and its memo when it may be leased.
local function admit(queue, id, rec, known)
  local m = known and memo(id) or {}
  if m.x then
    return finish(id, rec, m, queue, 'cancelled', HOUR, 'requested')
  end
  started(id, string.byte(rec) == 42 and header(rec) or {})
  return true, m
end

-- Whether the start of a job may mean something for a unique key.
local function keyed(rec)
  return string.byte(rec) == 42 and string.find(rec, '"u":', 1, true)
end

-- Puts one job into the shared batch, or into one of its own: 1 in the latter case.
local function seated(queue, id, rec, m, shared)
  local note = m and { m.a or 0, m.c or 0, m.k and 1 or 0 }
  if alone or m and m.k then
    open(queue, true, { id }, { rec }, note and { 1, unpack(note) } or {}, shared.keyed)
    return 1
  end
  local ids, notes = shared.ids, shared.notes
  ids[#ids + 1], shared.recs[#ids + 1] = id, rec
  for _, value in ipairs(note and { #ids, unpack(note) } or {}) do
    notes[#notes + 1] = value
  end
  return 0
end

-- Puts what is good of these entries into the shared batch, and suspects into batches of
-- their own; returns how many jobs the latter were. `haunted`: there are ghosts in their
-- list. `refused` notes what may not be leased.
local function take(queue, prio, entries, shared, refused, haunted)
  local long = #table.concat(entries) > 16 * #entries
  if not (long or haunted or alone or shared.keyed) and #shared.ids == 0 and #entries > FEW then
    shared.ids = entries
    return 0
  end
  local names, single = {}, 0
  for i, entry in ipairs(entries) do
    names[i] = #entry > 16 and string.sub(entry, 1, 16) or entry
  end
  local found = call('HMGET', jobs, unpack(names))
  -- Never of the governed lane: a job that has moved from here to there is no ghost in it.
  local dead = haunted and call('HMGET', ghost, unpack(entries))
  local known = metas and (long or shared.keyed) and call('HMGET', meta, unpack(names))
  for i, id in ipairs(names) do
    local rec, special, good, m = found[i], known and known[i], false, nil
    if dead and dead[i] then
      call('HDEL', ghost, entries[i])
      call('HINCRBY', gn, queue .. ':' .. prio, -1)
    elseif rec then
      good = true
      if special or (shared.keyed or #entries[i] > 16) and keyed(rec) then
        good, m = admit(queue, id, rec, special)
      end
    end
    if good then
      single = single + seated(queue, id, rec, m, shared)
    else
      refused[id] = true
    end
  end
  return single
end
