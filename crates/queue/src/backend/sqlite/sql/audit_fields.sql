-- A job has what its state needs, and nothing that belongs to another.
SELECT format('job %s: its fields do not fit state %d', lower(hex(id)), state)
FROM jobs
WHERE (due_ms IS NOT NULL) <> (state IN (0, 3))
   OR (token IS NOT NULL) <> (state = 2)
   OR (parked IS NOT NULL AND state <> 4)
   OR (finished_ms IS NOT NULL) <> (state >= 5)
   OR (keep_until IS NOT NULL) <> (state >= 5)
   OR state NOT BETWEEN 0 AND 7
