-- The oldest of the finished jobs of a queue and state, but for those somebody waits for.
DELETE FROM jobs WHERE id IN (
    SELECT id FROM jobs
    WHERE queue = ? AND state = ? AND state >= 5 AND (watched = 0 OR finished_ms < ?)
    ORDER BY finished_ms LIMIT ?
) RETURNING queue, state
