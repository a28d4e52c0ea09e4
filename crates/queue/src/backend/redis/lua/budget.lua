-- Changes what may be spent under a limit.
-- ARGV: time, queue, limit (NAME, NAME/KEY, or '' for the one that the queue names),
--   what (told REMAINING RESET, block MS, spend EXTRA, reset). Returns ok.
call('ZREM', lease, '')
touch('HLEN', rate, lim, full)
touch('SCARD', queues)
local key, what, a, b = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
if key == '' then
  key = call('HGET', lim, ARGV[2])
  if not key then
    return { 'ok' }
  end
end
local book = book_of(key, call('HGET', rate, key)) or { left = ANY }
books[key] = book

-- Of two words on the same instant, give or take two seconds, the smaller holds.
local function told(remaining, ends)
  local known = 0
  for _, line in ipairs(book) do
    if line.id == 't' and math.abs(line.ends - ends) <= 2000 then
      line.left, line.ends = math.min(line.left, remaining), math.max(line.ends, ends)
      return
    end
    known = known + (line.id == 't' and 1 or 0)
  end
  if ends > now and known < 8 then
    book[#book + 1] = { id = 't', left = remaining, ends = ends }
  end
end

if what == 'told' then
  told(a, b)
elseif what == 'block' then
  told(0, now + a)
elseif what == 'spend' then
  spend(book, a)
else
  books[key] = { changed = true }
end
books[key].changed = true
close_books()
if what == 'spend' or what == 'reset' then
  look_again(key)
end
return { 'ok' }
