-- Behind the index, for enqueue.

-- Indexes a job by the tags and metadata of its header, and by no others; its error stays.
local function index(id, h)
  local at, all = made(id, h), {}
  local known = call('HGET', idx, id) or ''
  local labels, error = string.match(known, '^(.*)(\ne:[^\n]*)$')
  for term in string.gmatch(labels or known, '[^\n]+') do
    leave(id, term)
  end
  local function add(term)
    if not string.find(string.gsub(term, '%z', ''), '%c') then
      all[#all + 1] = term
      enter(id, term, at)
    end
  end
  for _, tag in ipairs(type(h.g) == 'table' and h.g or {}) do
    add('g:' .. tostring(tag))
  end
  for key, value in pairs(type(h.d) == 'table' and h.d or {}) do
    add('d:' .. tostring(key) .. '\0' .. tostring(value))
  end
  if #all > 0 or error then
    call('HSET', idx, id, (#all > 0 and '\n' or '') .. table.concat(all, '\n') .. (error or ''))
  else
    call('HDEL', idx, id)
  end
end
