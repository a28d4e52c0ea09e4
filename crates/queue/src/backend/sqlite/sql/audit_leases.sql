-- Every leased job is a member of an open batch.
SELECT format('job %s: leased, but not under an open batch', lower(hex(j.id)))
FROM jobs AS j LEFT JOIN batches AS b ON b.token = j.token
WHERE j.state = 2 AND (b.token IS NULL OR b.open <= 0 OR instr(b.members, j.id) = 0)
