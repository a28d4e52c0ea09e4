UPDATE jobs SET attempts = 0, crashes = 0, suspect = 0, cancel = 0, released = 0,
    latest_ms = min(latest_ms, ?2) -- wanted now: where there is a longest wait, it is over
WHERE id = ?1
