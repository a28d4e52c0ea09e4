SELECT name, queue, state, serial_key, unique_key, token, attempts, crashes, cancel,
       watched, parked IS NOT NULL, errors, flow, waits
FROM jobs WHERE id = ?
