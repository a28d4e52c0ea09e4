-- leased -> succeeded, kept for no time: the jobs of one batch that nobody waits for.
DELETE FROM jobs
WHERE id IN (SELECT substr(?1, key * 16 + 1, 16) FROM json_each(?2))
  AND state = 2 AND token = ?3 AND watched = 0 AND unique_key IS NULL AND flow IS NULL
