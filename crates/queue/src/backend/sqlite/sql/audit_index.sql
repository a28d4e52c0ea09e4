-- The index has what jobs have, and nothing else.
SELECT format('the index has job %s, which has no record', lower(hex(t.id)))
FROM terms AS t LEFT JOIN jobs AS j ON j.id = t.id
WHERE j.id IS NULL AND t.id NOT IN (SELECT id FROM flow_drafts)
UNION ALL
SELECT format('job %s: its mark of being indexed is %d, its terms are %d', lower(hex(j.id)), j.indexed, t.n)
FROM jobs AS j JOIN (SELECT id, count(*) AS n FROM terms GROUP BY id) AS t ON t.id = j.id
WHERE NOT j.indexed
UNION ALL
SELECT format('the index lacks job %s', lower(hex(id)))
FROM jobs WHERE indexed AND NOT EXISTS (SELECT 1 FROM terms WHERE terms.id = jobs.id)
UNION ALL
SELECT format('the index has job %s under %d errors', lower(hex(id)), count(*))
FROM terms WHERE term >= x'653a' AND term < x'653b' GROUP BY id HAVING count(*) > 1
UNION ALL
SELECT format('the index lacks job %s, which has tags or metadata', lower(hex(id)))
FROM (SELECT id, CAST(substr(record, 1, instr(record, x'0a') - 1) AS TEXT) AS header FROM jobs WHERE NOT indexed)
WHERE json_valid(header) AND (json_extract(header, '$.g') IS NOT NULL OR json_extract(header, '$.d') IS NOT NULL)
