-- As lease.sql, what waits under one key.
SELECT json_group_array(json_array(n, priority, ord, length(record), attempts, crashes, suspect, cancel, cost)),
    CAST(group_concat(id, '') AS BLOB),
    CAST(group_concat(CASE WHEN length(record) <= 4096 THEN record ELSE x'' END, '') AS BLOB)
FROM (
    SELECT n, priority, ord, id, record, attempts, crashes, suspect, cancel, cost
    FROM jobs WHERE queue = ? AND limit_key = ? AND state = 1 AND limit_key IS NOT NULL
    ORDER BY priority, ord LIMIT ?
)
