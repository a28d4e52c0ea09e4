-- Behind open, for lease: what may go into a batch.

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

-- Whether none of these needs a closer look.
local function all_plain(entries, found)
  for i = 1, #entries do
    local rec = found[i]
    if not rec or #entries[i] > 16 or keyed(rec) then
      return false
    end
  end
  return not (metas or ghosts or alone)
end

-- Puts what is good of these entries into the shared batch, and suspects into batches of
-- their own; returns how many jobs the latter were. `refused` notes what may not be leased.
local function take(queue, prio, entries, shared, refused)
  local names, single = {}, 0
  for i, entry in ipairs(entries) do
    names[i] = #entry > 16 and string.sub(entry, 1, 16) or entry
  end
  local found = call('HMGET', jobs, unpack(names))
  if #shared.ids == 0 and all_plain(entries, found) then
    shared.ids, shared.recs = names, found
    return 0
  end
  local dead = ghosts and call('HMGET', ghost, unpack(entries))
  local known = metas and call('HMGET', meta, unpack(names))
  for i, id in ipairs(names) do
    local rec, special, good, m = found[i], known and known[i], false, nil
    if dead and dead[i] then
      call('HDEL', ghost, entries[i])
      call('HINCRBY', gn, queue .. ':' .. prio, -1)
    elseif rec then
      good = true
      if special or keyed(rec) then
        good, m = admit(queue, id, rec, special)
      end
    end
    if not good then
      refused[id] = true
    end
    local note = good and m and { m.a or 0, m.c or 0, m.k and 1 or 0 }
    if good and (alone or m and m.k) then
      open(queue, true, { id }, { rec }, note and { 1, unpack(note) } or {}, shared.keyed)
      single = single + 1
    elseif good then
      local ids, notes = shared.ids, shared.notes
      ids[#ids + 1], shared.recs[#ids + 1] = id, rec
      for _, value in ipairs(note and { #ids, unpack(note) } or {}) do
        notes[#notes + 1] = value
      end
    end
  end
  return single
end
