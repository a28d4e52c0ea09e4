-- The counts by state are those of the jobs.
WITH counted (name, state, n) AS (
    SELECT name, 0, n0 FROM queues UNION ALL SELECT name, 1, n1 FROM queues
    UNION ALL SELECT name, 2, n2 FROM queues UNION ALL SELECT name, 3, n3 FROM queues
    UNION ALL SELECT name, 4, n4 FROM queues UNION ALL SELECT name, 5, n5 FROM queues
    UNION ALL SELECT name, 6, n6 FROM queues UNION ALL SELECT name, 7, n7 FROM queues
), found (name, state, n) AS (
    SELECT queue, state, count(*) FROM jobs GROUP BY queue, state
)
SELECT format('queue %s: %d jobs counted in state %d, %d found',
    coalesce(c.name, f.name), coalesce(c.n, 0), coalesce(c.state, f.state), coalesce(f.n, 0))
FROM counted AS c FULL JOIN found AS f ON f.name = c.name AND f.state = c.state
WHERE coalesce(c.n, 0) <> coalesce(f.n, 0)
