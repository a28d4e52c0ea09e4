-- Rules, and what a key may spend. limit/book.rs keeps the same books in the same JSON.
local rules, books, NEAR, ANY = {}, {}, 1e-6, math.huge

local function decoded(json)
  local good, all = pcall(cjson.decode, json or '{}')
  return good and type(all) == 'table' and all or {}
end

-- The rule of a name, or of a key NAME/KEY, which may have one of its own.
local some_own
local function rule_of(key)
  if not rules[key] then
    local name = string.match(key, '^[^/]*')
    if name == 'serial' then
      rules[key] = { concurrency = 1 }
    else
      some_own = some_own or call('HEXISTS', lim, '/')
      local own = (name == key or some_own == 1) and call('HGET', P .. 'set:limit', key)
      rules[key] = own and decoded(own) or name ~= key and rule_of(name) or {}
    end
  end
  return rules[key]
end

-- The balance of one rate: what is left, the most there is, how fast it fills, when it ends.
local function line_of(rate, stored)
  local b, w = rate.bucket, rate.window
  if b then
    local id, speed = 'b' .. text(b.per_ms), b.amount / b.per_ms
    local was = stored[id] or { b.burst, now }
    local left = math.min(b.burst, was[1] + math.max(0, now - was[2]) * speed)
    return { id = id, left = left, most = b.burst, speed = speed }
  end
  local id, ends = 'w' .. text(w.length_ms), (math.floor(now / w.length_ms) + 1) * w.length_ms
  local was = stored[id]
  -- What was spent just ahead counts: the clock was set back over an edge.
  if was and was[2] ~= ends and was[2] ~= ends + w.length_ms then
    was = nil
  end
  return { id = id, left = w.amount - (was and was[1] or 0), most = w.amount, ends = was and was[2] or ends }
end

-- The books of a key, false where there is nothing to keep. `json` is what is stored.
local function book_of(key, json)
  if books[key] == nil and not json and not rule_of(key).rates then
    books[key] = false
  elseif books[key] == nil then
    local stored, book = decoded(json), { left = ANY, key = key }
    for _, rate in ipairs(rule_of(key).rates or {}) do
      book[#book + 1] = line_of(rate, stored)
    end
    for _, told in ipairs(stored.t or {}) do
      if told[2] > now then
        book[#book + 1] = { id = 't', left = told[1], ends = told[2] }
      end
    end
    for _, line in ipairs(book) do
      book.left = math.min(book.left, line.left)
    end
    books[key] = #book > 0 and book
  end
  return books[key]
end

-- When this much may be spent, nil for now. What costs more than there ever is goes when
-- nothing is spent, so that it does not wait for ever.
local function when(book, cost)
  local at
  for _, line in ipairs(book) do
    local need = math.min(cost, line.most or ANY)
    if line.left + NEAR < need then
      local wait = line.speed and now + math.max(1, math.ceil((need - line.left) / line.speed))
      at = math.max(at or 0, wait or line.ends)
    end
  end
  return at
end
