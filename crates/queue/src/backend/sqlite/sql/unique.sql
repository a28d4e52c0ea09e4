-- Who holds a unique key: a job, or only its time that is not over yet (then it does not live).
SELECT id, 1 AS lives FROM jobs
WHERE name = ?1 AND unique_key = ?2 AND unique_key IS NOT NULL AND released = 0 AND state < 5
UNION ALL
SELECT id, 0 FROM held WHERE name = ?1 AND unique_key = ?2 AND until_ms > ?3
LIMIT 1
