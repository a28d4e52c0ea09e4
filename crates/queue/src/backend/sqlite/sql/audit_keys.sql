-- Whoever waits under a key is found by its turn, and a batch says whether it has keys.
SELECT format('job %s: waits under %s, which has no turn in %s', lower(hex(id)), limit_key, queue)
FROM jobs
WHERE state = 1 AND limit_key IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM keys WHERE keys.queue = jobs.queue AND keys.key = jobs.limit_key
)
UNION ALL
SELECT format('key %s of %s: waits for a permit, and none is in use', key, queue)
FROM keys
WHERE after_ms = 9223372036854775807 AND key LIKE 'serial/%' AND NOT EXISTS (
    SELECT 1 FROM jobs WHERE jobs.limit_key = keys.key AND jobs.state = 2
)
UNION ALL
SELECT format('serial key %s: held by %d jobs', limit_key, count(*))
FROM jobs WHERE state = 2 AND limit_key IS NOT NULL AND limit_key LIKE 'serial/%'
GROUP BY limit_key HAVING count(*) > 1
UNION ALL
SELECT format('job %s: has a limit key, and its batch does not know', lower(hex(j.id)))
FROM jobs AS j JOIN batches AS b ON b.token = j.token
WHERE j.state = 2 AND j.limit_key IS NOT NULL AND b.keyed = 0
