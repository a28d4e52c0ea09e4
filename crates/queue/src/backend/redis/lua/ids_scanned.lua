-- Names jobs in no order: live, finished or blocked ones. Reads only.
-- ARGV: time, what (jobs, fin, meta), name or '', queue or '', cursor, how many
-- Returns ok, the next cursor ('' at the end), then ids. A hash shows what is in it throughout
-- at least once; what a step shows of it is all taken, so there may be more than asked for.
local key, name, queue, want = P .. ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[6])
local reply, cursor, looked = { 'ok' }, ARGV[5] == '' and '0' or ARGV[5], 0
local waits = ARGV[2] == 'meta'

-- Whether the caller should look at it; a broken record is for the caller to judge.
local function fits(id, value)
  if waits then
    local good, m = pcall(cjson.decode, value)
    if not good or type(m) ~= 'table' or not m.st or m.st == 'retryable' then
      return false
    end
    value = (name ~= '' or queue ~= '') and call('HGET', jobs, id) or ''
  elseif ARGV[2] == 'fin' then
    value = string.byte(value) == 43 and call('HGET', jobs, id) or string.match(value, '^[^\n]*\n(.*)$') or ''
  elseif call('HEXISTS', fin, id) == 1 then
    return false
  end
  local h = (name ~= '' or queue ~= '') and header(value) or {}
  return not next(h) or ((name == '' or h.n == name) and (queue == '' or (h.q or 'default') == queue))
end

repeat
  local step = call('HSCAN', key, cursor, 'COUNT', math.min(math.max(want - #reply + 1, 10), 100))
  cursor = step[1]
  for i = 1, #step[2], 2 do
    looked = looked + 1
    if fits(step[2][i], step[2][i + 1]) then
      reply[#reply + 1] = step[2][i]
    end
  end
until cursor == '0' or #reply > want or looked >= 500
table.insert(reply, 2, cursor == '0' and '' or cursor)
return reply
