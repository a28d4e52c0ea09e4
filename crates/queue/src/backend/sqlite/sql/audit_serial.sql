-- At most one job holds a serial key, and whoever waits for it will be woken.
SELECT format('serial key %s: held by %d jobs', serial_key, count(*))
FROM jobs WHERE serial_key IS NOT NULL AND state = 2 GROUP BY serial_key HAVING count(*) > 1
UNION ALL
SELECT format('job %s: waits for a serial key that nobody holds', lower(hex(id)))
FROM jobs AS waiting
WHERE serial_key IS NOT NULL AND state = 4 AND parked IS NULL AND waits = 0 AND NOT EXISTS (
    SELECT 1 FROM jobs AS other
    WHERE other.serial_key = waiting.serial_key AND other.state IN (1, 2)
)
