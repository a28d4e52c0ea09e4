-- Jobs that differ by their ids and records only: both come one behind the other, with the place
-- and the length of each record in one number.
INSERT INTO jobs
    (id, record, name, queue, priority, state, ord, due_ms, cost)
SELECT substr(?1, key * 16 + 1, 16), substr(?2, (value >> 32) + 1, value & 4294967295),
    ?4, ?5, ?6, ?7, ?8 + key, ?9, ?10
FROM json_each(?3)
