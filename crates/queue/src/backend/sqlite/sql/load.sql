SELECT name, queue, state, limit_key, unique_key, token, attempts, crashes, cancel,
       watched, errors, flow, waits
FROM jobs WHERE id = ?
