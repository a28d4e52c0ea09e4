-- One row for all: sqlx wakes its reader once a row. Long records are fetched one by one.
SELECT json_group_array(json_array(priority, ord, hex(id),
    CASE WHEN length(record) <= 4096 THEN hex(record) END,
    attempts, crashes, suspect, cancel, serial_key))
FROM (
    SELECT * FROM jobs WHERE queue = ? AND state = 1 ORDER BY priority, ord LIMIT ?
)
