-- The plain lane. One row for all: sqlx wakes its reader once a row. Long records are fetched
-- one by one.
SELECT json_group_array(json_array(priority, ord, hex(id),
    CASE WHEN length(record) <= 4096 THEN hex(record) END,
    attempts, crashes, suspect, cancel, 1))
FROM (
    SELECT * FROM jobs WHERE queue = ? AND state = 1
      AND priority + 10 * (limit_key IS NOT NULL) < 10
    ORDER BY priority + 10 * (limit_key IS NOT NULL), ord LIMIT ?
)
