-- What a job that is held under this token has said before.
SELECT coalesce(steps, ''), coalesce(length(CAST(cursor AS BLOB)), 0)
FROM jobs WHERE id = ?1 AND token = ?2 AND state = 2
