-- Each arm walks an index of its own and stops at the limit.
DELETE FROM jobs WHERE id IN (
    SELECT id FROM (
        SELECT id FROM jobs WHERE queue = ?1 AND state = 1
        ORDER BY priority + 10 * (limit_key IS NOT NULL), ord LIMIT ?2
    )
    UNION ALL
    SELECT id FROM (SELECT id FROM jobs WHERE queue = ?1 AND state IN (0, 3) ORDER BY due_ms LIMIT ?2)
    UNION ALL
    SELECT id FROM (SELECT id FROM jobs WHERE queue = ?1 AND state = 4 ORDER BY ord LIMIT ?2)
    LIMIT ?2
) RETURNING state, id, flow
