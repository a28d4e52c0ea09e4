-- leased -> succeeded: jobs of one batch, each with its result.
UPDATE jobs SET state = 5, finished_ms = ?4, keep_until = ?5, result = done.result,
    token = NULL, cancel = 0, cancel_seen = 0, steps = NULL, cursor = NULL, attempts = attempts + 1
FROM (SELECT substr(?1, key * 16 + 1, 16) AS id, value AS result FROM json_each(?2)) AS done
WHERE jobs.id = done.id
  AND state = 2 AND token = ?3 AND watched = 0 AND unique_key IS NULL AND flow IS NULL
