INSERT INTO jobs
    (id, record, name, queue, priority, state, ord, due_ms, unique_key, serial_key,
     scope, hold_ms, latest_ms)
