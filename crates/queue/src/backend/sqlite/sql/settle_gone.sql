-- leased -> succeeded, kept for no time: the jobs of one batch that nobody waits for.
DELETE FROM jobs
WHERE id IN (SELECT unhex(value) FROM json_each(?1))
  AND state = 2 AND token = ?2 AND watched = 0 AND unique_key IS NULL AND flow IS NULL
