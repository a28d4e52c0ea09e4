-- For verbs that meet unique keys: who holds one, and how it passes on. `uniq` says who
-- (the id, and behind it until when it may be put off); `locks` names the keys that are
-- held for a time, also by a job that has finished.

local function unique_of(h)
  return type(h.u) == 'string' and tostring(h.n) .. '\0' .. h.u or nil
end

-- What is said of a key in a header: s until started, l while it waits, w at least so long,
-- r replace, d debounce, m its longest wait.
local function scope_of(h)
  return type(h.o) == 'table' and h.o or {}
end

-- The job to which a key belongs, though it may be gone.
local function owner(key)
  local value = call('HGET', uniq, key)
  return value and string.sub(value, 1, 16), value
end

-- Whether the job that is there has this key: after one that is gone, and held it for a time,
-- its id may have been chosen again.
local function names(id, key)
  local rec = call('HGET', jobs, id)
  return rec and unique_of(header(rec)) == key
end

-- The job that holds a key: it lives, or holds the key for a time that is not over.
local function held(key)
  local id, value = owner(key)
  if id and tonumber(call('ZSCORE', locks, key) or 0) <= now and not names(id, key) then
    return nil
  end
  return id, value
end

-- A job takes a free key.
local function hold(key, id, scope)
  call('HSET', uniq, key, id .. (scope.m and text(now + scope.m) or ''))
  if scope.w then
    call('ZADD', locks, now + scope.w, key)
  else
    call('ZREM', locks, key)
  end
end

-- A job gives up the key of its header, if the key is still its own: another may have it
-- by now. With `lasting` one that is held for a time stays for the rest of it.
local function free(id, h, lasting)
  local key = unique_of(h)
  if key and owner(key) == id then
    local stop = tonumber(call('ZSCORE', locks, key) or 0)
    if not lasting or stop <= now then
      call('HDEL', uniq, key)
      call('ZREM', locks, key)
    end
  end
end

-- A job is leased.
local function started(id, h)
  local scope = scope_of(h)
  if (scope.s or scope.l) and unique_of(h) then
    free(id, h)
  end
end

-- A job that was leased waits again, and with it its key where that is held by who waits.
-- False where a newer job has the key: this one is not wanted any more. A step of a flow is.
local function waits(id, h)
  local key = scope_of(h).l and unique_of(h)
  local other = key and held(key)
  if other and other ~= id then
    return type(h.f) == 'string'
  elseif key then
    hold(key, id, scope_of(h))
  end
  return true
end
