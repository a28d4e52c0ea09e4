-- The next available job of each priority of a queue.
WITH RECURSIVE p (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM p WHERE n < 9)
SELECT id, record FROM jobs WHERE id IN (
    SELECT (SELECT id FROM jobs WHERE queue = ?1 AND state = 1 AND priority = n ORDER BY ord LIMIT 1)
    FROM p
)
