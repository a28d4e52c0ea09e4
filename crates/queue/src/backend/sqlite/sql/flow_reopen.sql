-- Edges of a slice that are done although what they come from has not ended.
UPDATE flow_edges SET done = 0
WHERE done = 1
  AND dst IN (SELECT id FROM flow_nodes WHERE flow = ?1 AND ord >= ?2 AND ord < ?3 AND outcome IS NULL)
  AND src IN (SELECT id FROM flow_nodes WHERE flow = ?1 AND outcome IS NULL)
