-- Finished jobs whose retention has passed, the oldest first.
DELETE FROM jobs WHERE id IN (
    SELECT id FROM jobs WHERE state >= 5 AND keep_until <= ? ORDER BY keep_until LIMIT ?
) RETURNING queue, state
