-- A batch counts the jobs that it still holds.
SELECT format('batch %d: %d jobs counted, %d held', b.token, b.open, coalesce(held.n, 0))
FROM batches AS b
LEFT JOIN (SELECT token, count(*) AS n FROM jobs WHERE state = 2 GROUP BY token) AS held
    ON held.token = b.token
WHERE b.open <> coalesce(held.n, 0)
