SELECT id FROM jobs
WHERE name = ? AND unique_key = ? AND unique_key IS NOT NULL AND state < 5
