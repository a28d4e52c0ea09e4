-- A node that waits has something to wait for; what has not ended has a job; a flow whose nodes
-- have all ended has ended.
SELECT format('job %s waits in flow %s for nothing', lower(hex(j.id)), lower(hex(j.flow)))
FROM jobs AS j JOIN flow_nodes AS n ON n.id = j.id JOIN flows AS f ON f.id = n.flow
WHERE j.state = 4 AND j.waits = 1 AND f.work IS NULL AND f.state = 1
  AND (n.kind = 0 OR NOT EXISTS (SELECT 1 FROM flow_edges AS e WHERE e.dst = j.id AND e.done = 0))
UNION ALL
SELECT format('job %s waits in a flow that is not known', lower(hex(j.id)))
FROM jobs AS j WHERE j.state = 4 AND j.waits = 1 AND j.flow NOT IN (SELECT id FROM flows)
UNION ALL
SELECT format('flow %s waits for job %s, which has no record', lower(hex(n.flow)), lower(hex(n.id)))
FROM flow_nodes AS n JOIN flows AS f ON f.id = n.flow
WHERE f.state > 0 AND f.work IS NOT 'drop' AND n.outcome IS NULL AND n.id NOT IN (SELECT id FROM jobs)
UNION ALL
SELECT format('flow %s has no job left and has not finished, or the reverse', lower(hex(f.id)))
FROM flows AS f
WHERE f.state > 0 AND f.work IS NOT 'drop' AND (f.finished_ms IS NULL) <>
    EXISTS (SELECT 1 FROM flow_nodes AS n WHERE n.flow = f.id AND n.outcome IS NULL)
UNION ALL
SELECT format('job %s: waits without being blocked', lower(hex(id))) FROM jobs WHERE waits = 1 AND state <> 4
