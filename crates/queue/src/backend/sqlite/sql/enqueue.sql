INSERT INTO jobs
    (id, record, name, queue, priority, state, ord, due_ms, unique_key, limit_key, cost,
     scope, hold_ms, latest_ms)
