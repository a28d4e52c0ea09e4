SELECT id, record, attempts, crashes, suspect, cancel, serial_key
FROM jobs WHERE queue = ? AND state = 1
ORDER BY priority, ord LIMIT ?
