-- The next available job of each priority of a queue, and of its first ten keys.
WITH RECURSIVE p (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM p WHERE n < 9)
SELECT id, record FROM jobs WHERE id IN (
    SELECT (
        SELECT id FROM jobs WHERE queue = ?1 AND state = 1
          AND priority + 10 * (limit_key IS NOT NULL) = p.n
        ORDER BY ord LIMIT 1
    ) FROM p
    UNION ALL
    SELECT (
        SELECT id FROM jobs WHERE queue = ?1 AND state = 1 AND limit_key IS NOT NULL AND limit_key = k.key
        ORDER BY priority, ord LIMIT 1
    ) FROM (SELECT key FROM keys WHERE queue = ?1 ORDER BY after_ms, turn LIMIT 10) AS k
)
