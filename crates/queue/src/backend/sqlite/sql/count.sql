INSERT INTO queues (name, processed, failed, n0, n1, n2, n3, n4, n5, n6, n7)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
ON CONFLICT (name) DO UPDATE SET
    processed = processed + ?2, failed = failed + ?3,
    n0 = n0 + ?4, n1 = n1 + ?5, n2 = n2 + ?6, n3 = n3 + ?7,
    n4 = n4 + ?8, n5 = n5 + ?9, n6 = n6 + ?10, n7 = n7 + ?11
