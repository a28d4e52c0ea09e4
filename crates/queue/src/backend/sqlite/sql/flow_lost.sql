-- Nodes of a slice that have not ended, and have no job.
SELECT n.id FROM flow_nodes AS n
WHERE n.flow = ?1 AND n.ord >= ?2 AND n.ord < ?3 AND n.outcome IS NULL
  AND NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.id = n.id)
