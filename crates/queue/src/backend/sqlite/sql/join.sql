-- The keys of jobs that have become available have a turn.
INSERT INTO keys (queue, key, turn, after_ms)
SELECT DISTINCT queue, limit_key, ?2, 0 FROM jobs
WHERE id IN (SELECT unhex(value) FROM json_each(?1)) AND limit_key IS NOT NULL
ON CONFLICT DO NOTHING
