-- The finished jobs of a queue in a state that its rules do not keep, the oldest first; not
-- those that somebody who waited for them may still ask for.
DELETE FROM jobs WHERE id IN (
    SELECT id FROM (
        SELECT id, watched, finished_ms, row_number() OVER newest AS place,
            sum(length(record) + coalesce(length(result), 0) + coalesce(length(errors), 0)
                + coalesce(length(progress), 0)) OVER newest AS bytes
        FROM jobs WHERE queue = ?1 AND state = ?2 AND state >= 5
        WINDOW newest AS (ORDER BY finished_ms DESC, id DESC)
    )
    WHERE (finished_ms <= ?3 OR place > ?4 OR bytes > ?5) AND (watched = 0 OR finished_ms < ?6)
    ORDER BY finished_ms, id LIMIT ?7
) RETURNING queue, state
