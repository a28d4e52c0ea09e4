-- In front of the brief scripts: those of what happens most, jobs of the plain lane without a
-- past. Each looks at everything first, and where it meets anything else answers `slow` with
-- nothing changed: the full script of the verb does it then. They are worth their lines: to
-- set up a full script costs more than all that a small batch needs.
-- KEYS: jobs, then as each script names them. ARGV[1]: a test's time in ms, or ''.
local P, call = string.sub(KEYS[1], 1, -5), redis.call
local SLOW = { 'slow' }

-- The time in microseconds.
local function clock()
  if ARGV[1] == '' then
    local parts = call('TIME')
    return parts[1] * 1000000 + parts[2]
  end
  return string.sub(P, 1, 6) == '{test-' and ARGV[1] * 1000
end

local function text(number)
  return string.format('%.0f', number)
end
