-- Behind limits: spending, and what is stored of it.

local function spend(book, cost)
  book.left, book.changed = ANY, true
  for _, line in ipairs(book) do
    line.left = math.min(line.left - cost, line.most or ANY)
    book.left = math.min(book.left, line.left)
  end
end

-- What is to be stored of a book; nil where nothing is spent.
local function closed(book)
  local all, told = {}, {}
  for _, line in ipairs(book) do
    if line.id == 't' then
      told[#told + 1] = { line.left, line.ends }
    elseif line.left < line.most then
      all[line.id] = line.speed and { line.left, now } or { line.most - line.left, line.ends }
    end
  end
  all.t = #told > 0 and told or nil
  return next(all) and cjson.encode(all)
end

-- Stores the books that have changed.
local function close_books()
  local stored, over = {}, {}
  for key, book in pairs(books) do
    local json = book and book.changed and closed(book)
    if json then
      stored[#stored + 1], stored[#stored + 2] = key, json
    elseif book and book.changed then
      over[#over + 1] = key
    end
  end
  for at = 1, #stored, 1000 do
    call('HSET', rate, unpack(stored, at, math.min(at + 999, #stored)))
  end
  for at = 1, #over, 1000 do
    call('HDEL', rate, unpack(over, at, math.min(at + 999, #over)))
  end
end
