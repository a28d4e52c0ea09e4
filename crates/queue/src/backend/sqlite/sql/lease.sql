-- The plain lane. One row for all, because sqlx wakes its reader once a row: what is known of
-- each, then all ids and all records, one behind the other. Long records are fetched one by one.
SELECT json_group_array(json_array(n, priority, ord, length(record), attempts, crashes, suspect, cancel, 1)),
    CAST(group_concat(id, '') AS BLOB),
    CAST(group_concat(CASE WHEN length(record) <= 4096 THEN record ELSE x'' END, '') AS BLOB)
FROM (
    SELECT n, priority, ord, id, record, attempts, crashes, suspect, cancel
    FROM jobs WHERE queue = ? AND state = 1
      AND priority + 10 * (limit_key IS NOT NULL) < 10
    ORDER BY priority + 10 * (limit_key IS NOT NULL), ord LIMIT ?
)
