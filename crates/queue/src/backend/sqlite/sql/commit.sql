-- The end of a transaction: the counters where they have changed, what one queue's have changed
-- by, and the commit. One call, because each wakes a thread.
UPDATE legwork SET tail = ?1, head = ?2, token = ?3, outage = ?4
WHERE (tail, head, token, outage) <> (?1, ?2, ?3, ?4);
INSERT INTO queues (name, processed, failed, n0, n1, n2, n3, n4, n5, n6, n7)
SELECT ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15 WHERE ?5 IS NOT NULL
ON CONFLICT (name) DO UPDATE SET
    processed = processed + ?6, failed = failed + ?7,
    n0 = n0 + ?8, n1 = n1 + ?9, n2 = n2 + ?10, n3 = n3 + ?11,
    n4 = n4 + ?12, n5 = n5 + ?13, n6 = n6 + ?14, n7 = n7 + ?15;
COMMIT
