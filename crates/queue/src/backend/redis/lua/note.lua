-- Writes down what a leased job says beside its record.
-- ARGV: time, token, id, what (progress, cursor, step, seen), text, mark, most
--   step: TEXT is a line `"name" value`, after a newline; MARK how the line of this name begins
-- Returns ok, stale, or full and how many bytes there would be.
-- Invariant: a step's first line stays, so that a repeated call writes nothing; all steps and
-- the cursor of a job together hold at most MOST bytes.
call('ZREM', lease, '')
touch('HLEN', prog, meta, steps)
local token, id, what, said = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if not call('ZSCORE', lease, token) or not call('LPOS', P .. 'b:' .. token, id) then
  return { 'stale' }
elseif what == 'progress' then
  call('HSET', prog, id, said)
  return { 'ok' }
end
local m = memo(id)
if what == 'seen' then
  m.y = m.x
  remember(id, m)
  return { 'ok' }
end
local field, other, before = id, id .. 'c', ''
if what == 'cursor' then
  field, other = other, field
else
  before = call('HGET', steps, id) or ''
  if string.find(before, ARGV[6], 1, true) then
    return { 'ok' }
  end
end
local size = #before + #said + call('HSTRLEN', steps, other)
if size > tonumber(ARGV[7]) then
  return { 'full', size }
end
call('HSET', steps, field, before .. said)
if not m.o then
  m.o = true
  remember(id, m)
end
return { 'ok' }
