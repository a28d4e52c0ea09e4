-- As lease.sql, what waits under one key.
SELECT json_group_array(json_array(priority, ord, hex(id),
    CASE WHEN length(record) <= 4096 THEN hex(record) END,
    attempts, crashes, suspect, cancel, cost))
FROM (
    SELECT * FROM jobs WHERE queue = ? AND limit_key = ? AND state = 1 AND limit_key IS NOT NULL
    ORDER BY priority, ord LIMIT ?
)
