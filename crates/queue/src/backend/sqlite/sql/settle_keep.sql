-- leased -> succeeded: jobs of one batch, each with its result.
UPDATE jobs SET state = 5, finished_ms = ?3, keep_until = ?4, result = done.result,
    token = NULL, cancel = 0, cancel_seen = 0, steps = NULL, cursor = NULL, attempts = attempts + 1
FROM (SELECT unhex(value ->> 0) AS id, value ->> 1 AS result FROM json_each(?1)) AS done
WHERE jobs.id = done.id
  AND state = 2 AND token = ?2 AND watched = 0 AND unique_key IS NULL AND flow IS NULL
